"""Prints the rounds of a run, one on each line: KIND WHEN SECONDS CUT_AFTER SEED.

KIND is `kill`, `shutdown` or `cache`. WHEN is `busy` (at a random moment), `acknowledged` (right after an
acknowledgement), `start` (while the server starts after a kill), `stopped` (right after a clean stop; for cuts
only) or, with --copy, `copying` (while the index is copied).

usage: plan.py CUTS KILLS SECONDS SEED KIND_OF_CUT ... [--copy]
"""

import random
import sys

# The acknowledgement before the cut may be the first of its kind, or end a long history.
CUT_AFTER_MAX = 150


def main():
    cuts, kills, seconds, seed, *kinds = [word for word in sys.argv[1:] if word != "--copy"]
    copies = "--copy" in sys.argv
    chance = random.Random(f"plan {seed}")
    # Every kind of cut occurs at every moment, even if there are few cuts.
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
        # A round that waits for an acknowledgement ends with the cut; its time is only an upper bound.
        length = float(seconds) * (4 if after else chance.uniform(0.1, 1))
        print(kind, when, f"{length:.2f}", after, f"{seed}.{number}")


if __name__ == "__main__":
    main()
