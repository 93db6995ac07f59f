"""Prints the rounds of a run, one a line: KIND WHEN SECONDS CUT_AFTER SEED.

KIND is `kill`, `shutdown` or `cache`. WHEN is `busy` (at a random moment), `acknowledged` (right after an
acknowledgement), `start` (again, while the server starts on what a kill left), `stopped` (right after it
stopped cleanly; for cuts only) or, with --copy, `copying` (while the index is copied).

usage: plan.py CUTS KILLS SECONDS SEED KIND_OF_CUT ... [--copy]
"""

import random
import sys

# Both orders of magnitude: one acknowledgement may be the first of its kind, or end a long history.
CUT_AFTER_MAX = 150


def main():
    cuts, kills, seconds, seed, *kinds = [word for word in sys.argv[1:] if word != "--copy"]
    copies = "--copy" in sys.argv
    chance = random.Random(f"plan {seed}")
    # Every kind of cut gets its share of every moment, however few cuts there are.
    moments = ["busy", "acknowledged", "acknowledged", "busy", "start", "stopped"]
    of_kills = ["busy", "busy", "acknowledged", "acknowledged", "start"]
    if copies:
        moments, of_kills = ["copying", "stopped", "copying", "start"], ["copying"]
    rounds = [(kinds[number % len(kinds)], moments[number // len(kinds) % len(moments)])
              for number in range(int(cuts))]
    rounds += [("kill", chance.choice(of_kills)) for _ in range(int(kills))]
    chance.shuffle(rounds)
    for number, (kind, when) in enumerate(rounds):
        after = chance.randrange(1, CUT_AFTER_MAX) if when == "acknowledged" else 0
        # The cut ends a round that waits for an acknowledgement; its time is only the utmost.
        length = float(seconds) * (4 if after else chance.uniform(0.1, 1))
        print(kind, when, f"{length:.2f}", after, f"{seed}.{number}")


if __name__ == "__main__":
    main()
