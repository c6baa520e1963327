"""Serve a folder of images: `python -m monai_seunet.label_app FOLDER`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from monai_seunet.config.defaults import DEFAULT_NETWORK, default_bundle
from monai_seunet.config.texts import read_settings
from monai_seunet.label_app.workspace import Workspace, network_of
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import locked

WORKSPACE = ".seunet"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare the workspace and start MONAI Label."""
    options = build_parser().parse_args(arguments)
    folder = options.folder.expanduser().resolve()
    path = (options.workspace or folder / WORKSPACE).expanduser().resolve()
    network = options.network or network_of(path) or DEFAULT_NETWORK
    try:
        workspace = Workspace(path, network, options.width, options.overlays, read_settings(options.settings))
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; give a folder of images")
        with locked(path):  # a second server would overwrite the files of the first
            workspace.prepare(options.bundle.expanduser().resolve(), options.checkpoint)
            _serve(options, folder, workspace)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m monai_seunet.label_app", description="Serve images to annotators")
    parser.add_argument("folder", type=Path, help="folder of images; labels/ and the workspace are made in it")
    parser.add_argument(
        "--network",
        metavar="OVERLAY",
        help=f"file in configs/networks (default: network of an existing workspace, else {DEFAULT_NETWORK})",
    )
    parser.add_argument("--width", type=int, help="width of the trained network")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="first weights (default: models/model.pt)")
    parser.add_argument("--overlay", dest="overlays", action="append", default=[], metavar="NAME")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="ID=VALUE")
    parser.add_argument(
        "--bundle", type=Path, default=default_bundle(), metavar="DIR", help="bundle to copy; it is not changed"
    )
    parser.add_argument("--workspace", type=Path, metavar="DIR", help=f"server files (default: FOLDER/{WORKSPACE})")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: only this machine)")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--names", default="", help="host names of this server, separated by commas")
    parser.add_argument("--max-upload", type=float, default=512, metavar="MB")
    parser.add_argument("--ssl-keyfile", metavar="FILE")
    parser.add_argument("--ssl-certfile", metavar="FILE")
    return parser


def _serve(options: argparse.Namespace, folder: Path, workspace: Workspace) -> None:
    names = {"127.0.0.1", "localhost", options.host, *filter(None, options.names.split(","))}
    defaults = {
        "SEUNET_LABEL_MAX_UPLOAD_MB": str(options.max_upload),
        "SEUNET_LABEL_HOSTS": ",".join(sorted(names)),
        "MONAI_LABEL_SESSION_PATH": str(workspace.scratch / "sessions"),
        "MONAI_LABEL_AUTO_UPDATE_SCORING": "false",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("TMPDIR", str(workspace.scratch))
    os.chdir(workspace.path)  # MONAI Label reads .env from the folder in which it starts

    from monailabel.main import Main

    sys.argv = ["monailabel", "start_server", "--app", str(workspace.app), "--studies", str(folder)]
    sys.argv += ["--conf", "workspace", str(workspace.path), "--host", options.host, "--port", str(options.port)]
    sys.argv += ["--uvicorn_app", "monai_seunet.label_app.server:app"]
    for name in ("ssl_keyfile", "ssl_certfile"):
        if getattr(options, name):
            sys.argv += [f"--{name}", str(Path(getattr(options, name)).resolve())]
    Main().run()


if __name__ == "__main__":
    sys.exit(main())
