"""`make accuracy`: how well takes are found in captures whose truth is known."""

import statistics
import sys
import time

from analysis.pose_model import PoseFinder
from tests.accuracy.captures import ALL
from tests.accuracy.measure import Score, cache_folder, filmed, measure


def main() -> int:
    """Measure all captures, print a line each and the summary; 1 where a promise is broken."""
    chosen = sys.argv[1:] or list(ALL)
    folder, scores = cache_folder(), []
    print(f"{len(chosen)} captures, kept in {folder}")
    with PoseFinder() as finder:
        for name in chosen:
            began_s = time.monotonic()
            path = filmed(name, ALL[name], folder)
            drawn_s = time.monotonic() - began_s
            score = measure(name, ALL[name], path, finder)
            scores.append(score)
            took_s = time.monotonic() - began_s - drawn_s
            print(
                f"{name:22s} efforts {score.inside}/{score.efforts}  excess {score.excess_s}  "
                f"reps {score.exact}/{score.counted}  {took_s:.1f} s  {'; '.join(score.notes)}",
                flush=True,
            )
    return summary(scores)


def summary(scores: list[Score]) -> int:
    """Print what all captures together show, and tell whether the promises hold."""
    efforts, inside = sum(s.efforts for s in scores), sum(s.inside for s in scores)
    excess = sorted(value for s in scores for value in s.excess_s) or [0.0]
    worst = excess[min(len(excess) - 1, int(0.95 * len(excess)))]
    counted, exact = sum(s.counted for s in scores), sum(s.exact for s in scores)
    surplus = sum(s.surplus for s in scores)
    median = statistics.median(excess)
    print(f"efforts inside a clip: {inside} of {efforts}")
    print(f"seconds beyond the padding: median {median:.2f}, 95th percentile {worst:.2f}")
    print(f"repetitions exact: {exact} of {counted}")
    print(f"clips without an effort: {surplus}")
    kept = inside == efforts and median < 0.5 and worst < 1.5 and exact >= 0.95 * counted
    return 0 if kept and not surplus else 1


if __name__ == "__main__":
    sys.exit(main())
