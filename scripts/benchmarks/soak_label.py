"""Let several clients work on a running annotation server for a while, and say what it answered and how it grew.

    scripts/label.sh FOLDER --checkpoint FILE &
    .venv-label/bin/python scripts/benchmarks/soak_label.py http://127.0.0.1:8000 --minutes 30

Clients ask for masks, outlines and the next image, hand in the masks that they got, and start trainings. Every answer
that is not expected is listed; the end code is 1 then.
"""

from __future__ import annotations

import argparse
import io
import random
import threading
import time
from collections import Counter

import psutil
import requests

EXPECTED = {"train": {200, 429, 400}}


class Client(threading.Thread):
    """An annotator who is never tired.

    Args:
        url: of the server.
        seed: of what is done.
        end: when to stop, by `time.monotonic`.
        answers: counts by kind and status.
        problems: texts of answers that were not expected.
    """

    def __init__(self, url: str, seed: int, end: float, answers: Counter, problems: list[str]) -> None:
        super().__init__(daemon=True)
        self.url, self.end, self.answers, self.problems = url, end, answers, problems
        self.random = random.Random(seed)

    def run(self) -> None:
        """Work."""
        while time.monotonic() < self.end:
            kind = self.random.choices(["mask", "region", "next", "save", "info", "train"], [4, 4, 3, 4, 4, 0.3])[0]
            try:
                self.keep(kind, getattr(self, kind)())
            except requests.RequestException as error:
                self.answers[kind, "no answer"] += 1
                self.problems.append(f"{kind}: {error}")

    def keep(self, kind: str, answer: requests.Response) -> None:
        """Count an answer."""
        self.answers[kind, answer.status_code] += 1
        if answer.status_code not in EXPECTED.get(kind, {200}):
            self.problems.append(f"{kind}: {answer.status_code} {answer.text[:300]}")

    def image(self) -> str:
        """One of those that are there."""
        return self.random.choice(
            list(requests.get(f"{self.url}/datastore/?output=all", timeout=600).json()["objects"])
        )

    def mask(self) -> requests.Response:
        """Ask for the nuclei of an image."""
        return self.post(f"/infer/nuclei?image={self.image()}&output=image", data={"params": "{}"})

    def region(self) -> requests.Response:
        """Ask for those of a region."""
        location = [self.random.randrange(200), self.random.randrange(200)]
        output = self.random.choice(["asap", "dsa", "json"])
        body = {"location": location, "size": [150, 150], "min_poly_area": 0}
        return self.post(f"/infer/wsi/nuclei?image={self.image()}&output={output}", json=body)

    def next(self) -> requests.Response:
        """Ask what to label."""
        return self.post(f"/activelearning/{self.random.choice(['first', 'random', 'disagreement'])}", json={})

    def save(self) -> requests.Response:
        """Hand in what the server has answered."""
        image = self.image()
        found = self.post(f"/infer/nuclei?image={image}&output=image", data={"params": "{}"})
        name = found.headers.get("content-disposition", "x.png").split(".", 1)[-1].strip('"')
        files = {"label": (f"l.{name}", io.BytesIO(found.content))}
        return requests.put(f"{self.url}/datastore/label", params={"image": image}, files=files, timeout=600)

    def info(self) -> requests.Response:
        """Ask who is there."""
        return requests.get(f"{self.url}/info/", timeout=600)

    def train(self) -> requests.Response:
        """Start a short training."""
        return self.post("/train/nuclei", json={"max_epochs": 3, "crop_size": 128, "val_interval": 1})

    def post(self, path: str, **options) -> requests.Response:
        """A request."""
        return requests.post(self.url + path, timeout=600, **options)


def main() -> int:
    """Soak, and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    port = int(options.url.rstrip("/").rsplit(":", 1)[1])
    server = next(
        psutil.Process(c.pid) for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port
    )
    answers: Counter = Counter()
    problems: list[str] = []
    end = time.monotonic() + 60 * options.minutes
    clients = [Client(options.url.rstrip("/"), seed, end, answers, problems) for seed in range(options.clients)]
    for client in clients:
        client.start()
    sizes = []
    while any(client.is_alive() for client in clients):
        sizes.append(server.memory_info().rss / 2**20)
        print(f"{len(sizes):3d} min  {sizes[-1]:6.0f} MiB  {sum(answers.values())} answers", flush=True)
        for client in clients:
            client.join(60 / len(clients))
    for (kind, status), count in sorted(answers.items(), key=str):
        print(f"{kind:8} {status}: {count}")
    third = max(1, len(sizes) // 3)
    middle, last = (sum(part) / len(part) for part in (sizes[third : 2 * third] or sizes, sizes[-third:]))
    print(f"memory: {middle:.0f} MiB in the middle third, {last:.0f} MiB in the last ({last / middle - 1:+.1%})")
    for problem in problems:
        print(problem)
    return int(bool(problems))


if __name__ == "__main__":
    raise SystemExit(main())
