"""Serve a folder of images: `python -m monai_seunet.label_app FOLDER`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from monai_seunet.config.defaults import DEFAULT_NETWORK
from monai_seunet.config.texts import read_settings
from monai_seunet.label_app.workspace import Workspace, network_of
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import locked

BUNDLE = Path(__file__).resolve().parents[2] / "bundle"
WORKSPACE = ".seunet"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare the workspace and start MONAI Label."""
    options = build_parser().parse_args(arguments)
    folder = options.folder.expanduser().resolve()
    path = (options.workspace or folder / WORKSPACE).expanduser().resolve()
    network = options.network or network_of(path) or DEFAULT_NETWORK
    try:
        place = Workspace(path, network, options.width, options.overlays, read_settings(options.settings))
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; give one with images")
        with locked(path):  # a second server would throw away what the first one is sent
            place.prepare(options.bundle.expanduser().resolve(), options.checkpoint)
            _serve(options, folder, place)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m monai_seunet.label_app", description="Serve images to annotators")
    parser.add_argument("folder", type=Path, help="of the images; gets labels/ and the server's workspace")
    parser.add_argument(
        "--network",
        metavar="OVERLAY",
        help=f"file in configs/networks (default: that of the weights in the folder, else {DEFAULT_NETWORK})",
    )
    parser.add_argument("--width", type=int, help="that the network was trained with")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="first weights; models/model.pt of the bundle")
    parser.add_argument("--overlay", dest="overlays", action="append", default=[], metavar="NAME")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="ID=VALUE")
    parser.add_argument("--bundle", type=Path, default=BUNDLE, metavar="DIR", help="copied, and never written to")
    parser.add_argument("--workspace", type=Path, metavar="DIR", help=f"instead of {WORKSPACE} in the folder")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--names", default="", help="by which clients call this server, with commas between them")
    parser.add_argument("--max-upload", type=float, default=512, metavar="MB")
    parser.add_argument("--ssl-keyfile", metavar="FILE")
    parser.add_argument("--ssl-certfile", metavar="FILE")
    return parser


def _serve(options: argparse.Namespace, folder: Path, place: Workspace) -> None:
    names = {"127.0.0.1", "localhost", options.host, *filter(None, options.names.split(","))}
    defaults = {
        "SEUNET_LABEL_MAX_UPLOAD_MB": str(options.max_upload),
        "SEUNET_LABEL_HOSTS": ",".join(sorted(names)),
        "MONAI_LABEL_SESSION_PATH": str(place.scratch / "sessions"),
        "MONAI_LABEL_AUTO_UPDATE_SCORING": "false",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("TMPDIR", str(place.scratch))
    os.chdir(place.path)  # MONAI Label reads .env where it starts

    from monailabel.main import Main

    sys.argv = [
        "monailabel",
        "start_server",
        "--app",
        str(place.app),
        "--studies",
        str(folder),
    ]
    sys.argv += ["--conf", "workspace", str(place.path), "--host", options.host, "--port", str(options.port)]
    sys.argv += ["--uvicorn_app", "monai_seunet.label_app.server:app"]
    for name in ("ssl_keyfile", "ssl_certfile"):
        if getattr(options, name):
            sys.argv += [f"--{name}", str(Path(getattr(options, name)).resolve())]
    Main().run()


if __name__ == "__main__":
    sys.exit(main())
