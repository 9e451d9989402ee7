"""A video as a job: handed in, followed, fetched. Ctrl-C cancels it.

python examples/video.py in.mp4 out.mp4 --model vespcn --scale 2
"""

import argparse
import sys

from srserve_client import Client, Job, ProblemError


def main() -> int:
    """One video; the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("output")
    parser.add_argument("--model", required=True)
    parser.add_argument("--scale", type=int, required=True)
    arguments = parser.parse_args()
    with Client() as service:
        try:
            job = service.jobs.create(arguments.source, model=arguments.model, scale=arguments.scale)
        except ProblemError as error:
            print(f"refused: {error}", file=sys.stderr)
            return 1
        print(f"job {job.id}", file=sys.stderr)
        try:
            done = service.jobs.wait(job, on_progress=show)
        except KeyboardInterrupt:
            service.jobs.cancel(job)
            return 130
        except ProblemError as error:  # what ended the job, as if it had been the answer to a single call
            print(f"failed: {error}", file=sys.stderr)
            return 1
        path = service.jobs.download(done, arguments.output)
    print(path)
    return 0


def show(job: Job) -> None:
    """One line, written over and over."""
    progress = job.progress
    left = f", {progress.eta_s:.0f} s left" if progress.eta_s is not None else ""
    end = "\n" if job.is_finished else ""
    print(f"\r{job.state} {progress.done}/{progress.total or '?'} {progress.unit}{left}   ", end=end, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
