"""The commands `monai-seunet experiment`, `report`, `archive` and `restore`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from monai_seunet.commands.network_options import add_bundle_option, require_output_folder, require_paths
from monai_seunet.utils.errors import InputError, make_folder


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `experiment`."""
    parser.add_argument("name", help="name of a file in the bundle's configs/experiments, or path of a JSON file")
    add_bundle_option(parser)
    _add_store(parser)
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="METHOD",
        help="methods, or trainings as METHOD-SEED, of a cross-validation as METHOD-SEED-fold0",
    )
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="number of trainings at the same time")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="address of a Dask cluster whose workers train")
    parser.add_argument("--torchrun", type=int, default=1, metavar="N", help="number of processes of each training")
    parser.add_argument("--list", action="store_true", help="only list finished and missing trainings")
    parser.set_defaults(run=run, kept="finished and begun trainings are kept; the same command again goes on from here")


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `report`."""
    parser.add_argument("name", help="name of the experiment")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the report (default: NAME/report in --output)"
    )
    _add_store(parser)
    parser.set_defaults(run=run_report)


def add_archive_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `archive`."""
    parser.add_argument("name", help="name of the experiment")
    parser.add_argument("folder", type=Path, help="folder of archives, in which the folder NAME is created")
    _add_store(parser)
    parser.set_defaults(run=run_archive)


def add_restore_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `restore`."""
    parser.add_argument("folders", type=Path, nargs="+", metavar="folder", help="folder NAME that `archive` created")
    _add_store(parser)
    parser.set_defaults(run=run_restore)


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=Path, default=Path("runs/experiments"), metavar="DIR", help="folder of all experiments"
    )
    parser.add_argument("--tracking-uri", metavar="URI", help="store of MLflow (default: a SQLite file in --output)")


def _require_store(options: argparse.Namespace) -> None:
    """Check that the store exists before large imports, and before MLflow creates an empty one."""
    store = options.output.expanduser() / "mlruns.db"
    if not (options.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or store.is_file()):
        raise InputError(
            f"{store}: no such store, so experiment '{options.name}' is not there; run it, or give its --output or "
            "--tracking-uri"
        )


def run_report(options: argparse.Namespace) -> None:
    """Write the report of an experiment."""
    _require_store(options)
    from monai_seunet.experiments.report import write_experiment_report
    from monai_seunet.tracking.client import connect, mlflow_errors

    client = connect(options.tracking_uri or default_tracking_uri(options.output))
    out = options.out or options.output / options.name / "report"
    with mlflow_errors(client):
        print(write_experiment_report(client, options.name, out.expanduser()))


def run_archive(options: argparse.Namespace) -> None:
    """Write the finished trainings of an experiment to files."""
    _require_store(options)
    from monai_seunet.experiments.archive import write_archive
    from monai_seunet.tracking.client import connect, mlflow_errors

    client = connect(options.tracking_uri or default_tracking_uri(options.output))
    folder = make_folder(options.folder.expanduser() / options.name)
    with mlflow_errors(client):
        count = write_archive(client, options.name, options.output.expanduser() / options.name, folder)
    where = options.output.expanduser() / options.name
    print(f"{folder}: {count} trainings" + ("" if count else f"; none is done in {where}, give their --output"))


def run_restore(options: argparse.Namespace) -> None:
    """Restore archived runs in MLflow."""
    require_paths(options.folders)
    require_output_folder(options.output)
    from monai_seunet.experiments.archive_file import read_runs

    for folder in options.folders:
        read_runs(folder.expanduser())
    from monai_seunet.experiments.archive import restore_archive
    from monai_seunet.tracking.client import connect, mlflow_errors

    output = make_folder(options.output.expanduser().absolute())
    client = connect(options.tracking_uri or default_tracking_uri(output))
    for folder in options.folders:
        with mlflow_errors(client):
            name, count = restore_archive(client, folder.expanduser(), output)
        print(f"{name}: {count} runs restored; MLflow at {client.tracking_uri}")


def run(options: argparse.Namespace) -> int:
    """Run the missing trainings of an experiment."""
    from monai_seunet.experiments.plan import read_experiment

    bundle = options.bundle.expanduser().absolute()
    experiment = read_experiment(bundle, options.name)
    chosen = [t for t in experiment.trainings if not options.only or t.names & set(options.only)]
    unknown = set(options.only or ()) - {name for t in chosen for name in t.names}
    if unknown:
        raise InputError(f"--only {min(unknown)}: choose from {', '.join(experiment.methods)}")
    for name in ("processes", "torchrun"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name} {getattr(options, name)}: give 1 or more")
    if not options.list:  # a list only reads
        require_output_folder(options.output)
    from monai_seunet.experiments.launch import train_here, train_on_cluster
    from monai_seunet.experiments.tracking import open_parent
    from monai_seunet.experiments.training import Place, check_dataset, is_done
    from monai_seunet.tracking.client import connect, mlflow_errors

    output = options.output.expanduser().absolute() / experiment.name
    left = [training for training in chosen if not is_done(training, output)]
    if options.list:
        for training in chosen:
            print(f"{'to do' if training in left else 'done ':5}  {training.name}")
        return 0
    if not options.scheduler:  # workers of a cluster may have other folders than this machine
        for training in left:
            check_dataset(training, bundle)
    make_folder(output)
    client = connect(options.tracking_uri or default_tracking_uri(options.output))
    with mlflow_errors(client):
        parent = open_parent(client, experiment)
    place = Place(
        bundle, output, client.tracking_uri, experiment.name, parent.info.run_id, Path.cwd(), options.torchrun
    )
    problems = (
        train_on_cluster(left, place, options.scheduler)
        if options.scheduler
        else train_here(left, place, options.processes)
    )
    failed = 0
    for problem in problems:
        failed += 1
        print(f"warning: {problem}", file=sys.stderr)
    with mlflow_errors(client):
        client.set_terminated(parent.info.run_id)
    print(f"{output}: {len(chosen) - failed} of {len(chosen)} trainings done; MLflow at {client.tracking_uri}")
    return 1 if failed else 0


def default_tracking_uri(output: Path) -> str:
    """Return the address of the SQLite store of all experiments in a folder."""
    from monai_seunet.tracking.client import sqlite_uri

    return sqlite_uri(output.expanduser() / "mlruns.db")
