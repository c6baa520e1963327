"""Run several clients against an annotation server, and report its answers and the growth of its memory.

    scripts/label.sh FOLDER --checkpoint FILE &
    .venv-label/bin/python scripts/benchmarks/soak_label.py http://127.0.0.1:8000 --minutes 30

Clients request masks, outlines and the next image, submit the received masks, and start trainings. Unexpected answers
are listed, and the exit code is then 1.
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
    """A client that sends random requests.

    Args:
        url: URL of the server.
        seed: seed of the requests.
        end: time of `time.monotonic` at which the client stops.
        answers: counts by request and status.
        problems: texts of unexpected answers.
    """

    def __init__(self, url: str, seed: int, end: float, answers: Counter, problems: list[str]) -> None:
        super().__init__(daemon=True)
        self.url, self.end, self.answers, self.problems = url, end, answers, problems
        self.random = random.Random(seed)

    def run(self) -> None:
        """Send requests until the end."""
        while time.monotonic() < self.end:
            name = self.random.choices(["mask", "region", "next", "save", "info", "train"], [4, 4, 3, 4, 4, 0.3])[0]
            try:
                self.count(name, getattr(self, name)())
            except requests.RequestException as error:
                self.answers[name, "no answer"] += 1
                self.problems.append(f"{name}: {error}")

    def count(self, name: str, answer: requests.Response) -> None:
        """Count an answer."""
        self.answers[name, answer.status_code] += 1
        if answer.status_code not in EXPECTED.get(name, {200}):
            self.problems.append(f"{name}: {answer.status_code} {answer.text[:300]}")

    def image(self) -> str:
        """Choose an image of the server."""
        return self.random.choice(
            list(requests.get(f"{self.url}/datastore/?output=all", timeout=600).json()["objects"])
        )

    def mask(self) -> requests.Response:
        """Request the mask of the nuclei of an image."""
        return self.post(f"/infer/nuclei?image={self.image()}&output=image", data={"params": "{}"})

    def region(self) -> requests.Response:
        """Request the nuclei of a region."""
        location = [self.random.randrange(200), self.random.randrange(200)]
        output = self.random.choice(["asap", "dsa", "json"])
        body = {"location": location, "size": [150, 150], "min_poly_area": 0}
        return self.post(f"/infer/wsi/nuclei?image={self.image()}&output={output}", json=body)

    def next(self) -> requests.Response:
        """Request the next image to label."""
        return self.post(f"/activelearning/{self.random.choice(['first', 'random', 'disagreement'])}", json={})

    def save(self) -> requests.Response:
        """Submit the mask that the server returns for an image."""
        image = self.image()
        answer = self.post(f"/infer/nuclei?image={image}&output=image", data={"params": "{}"})
        suffix = answer.headers.get("content-disposition", "x.png").split(".", 1)[-1].strip('"')
        files = {"label": (f"l.{suffix}", io.BytesIO(answer.content))}
        return requests.put(f"{self.url}/datastore/label", params={"image": image}, files=files, timeout=600)

    def info(self) -> requests.Response:
        """Request the description of the server."""
        return requests.get(f"{self.url}/info/", timeout=600)

    def train(self) -> requests.Response:
        """Start a short training."""
        return self.post("/train/nuclei", json={"max_epochs": 3, "crop_size": 128, "val_interval": 1})

    def post(self, path: str, **options) -> requests.Response:
        """Send a POST request."""
        return requests.post(self.url + path, timeout=600, **options)


def main() -> int:
    """Run the clients, and report."""
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
    for (name, status), count in sorted(answers.items(), key=str):
        print(f"{name:8} {status}: {count}")
    third = max(1, len(sizes) // 3)
    middle, last = (sum(part) / len(part) for part in (sizes[third : 2 * third] or sizes, sizes[-third:]))
    print(f"memory: {middle:.0f} MiB in the middle third, {last:.0f} MiB in the last third ({last / middle - 1:+.1%})")
    for problem in problems:
        print(problem)
    return int(bool(problems))


if __name__ == "__main__":
    raise SystemExit(main())
