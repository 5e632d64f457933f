"""P-values of ties within a window: do two actors meet so often because their contexts are hectic?

Chance keeps who acts in a context how often, and when it is acted in, and deals these moments to its actors anew. Two
actors with one event each in a context of n events, W pairs of which are within the window, then meet there with
probability W / (n (n - 1) / 2); with j and k events at most with j k times as much. Contexts are independent, so the
contexts in which two actors meet are a sum of unequal coin flips (Poisson binomial), over those that both act in. The
p-value of a tie is the probability of so many, or of more. Where actors act more than once in a context it is an upper
bound, never too small.

A story that everybody shares within a minute makes ties of all who share it, and none of them is more than chance; two
who are within a minute of each other in ten stories that took days are.

Shapes: A actors, C contexts, E events with a time, P participations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import pdtrc

from theta_ray.network.observations import Doubles, Integers
from theta_ray.network.sdsm import CELLS, EXACT_UP_TO, SharedContexts, upper_tails
from theta_ray.network.segments import places_of
from theta_ray.network.windows import Timeline

# Participations that are looked up at once.
BLOCK = 2**20


@dataclass(frozen=True)
class CoActionTest:
    """The test of ties of one timeline. 24 bytes a participation."""

    starts: Integers
    """[A + 1] where the participations of each actor begin."""
    keys: Integers
    """[P] actor * C + context, in order."""
    num_events: Integers
    """[P]"""
    probability: Doubles
    """[C] that two given events of a context are within the window."""

    @classmethod
    def of(cls, timeline: Timeline, window: float) -> CoActionTest:
        """The test of ties within `window` seconds."""
        num_actors, num_contexts = len(timeline.actor_starts) - 1, len(timeline.context_starts) - 1
        places = timeline.places
        keys = timeline.actors[places].astype(np.int64) * num_contexts + timeline.contexts[places]
        keys, num_events = np.unique(keys, return_counts=True)
        starts = np.searchsorted(keys, np.arange(num_actors + 1) * num_contexts)
        low, high = timeline.runs(window)
        # every pair of events is counted from both
        within = np.bincount(timeline.contexts[places], high - low - 1, num_contexts) / 2
        size = np.diff(timeline.context_starts)
        return cls(starts, keys, num_events, within / np.maximum(size * (size - 1) // 2, 1))

    def p_values(self, edges: SharedContexts) -> Doubles:
        """[edges] probabilities of meeting in so many contexts, which are 1 or more, or in more."""
        one, other = edges.source.astype(np.int64), edges.target.astype(np.int64)
        degrees = np.diff(self.starts)
        # contexts of the one with fewer are looked up among those of the other
        is_turned = degrees[other] < degrees[one]
        one, other = np.where(is_turned, other, one), np.where(is_turned, one, other)
        found, num_shared = np.empty(len(one)), edges.num_shared.astype(np.int64)
        order = np.argsort(degrees[one], kind="stable")
        upto = np.concatenate([[0], np.cumsum(degrees[one[order]])])
        begin = 0
        while begin < len(order):
            end = max(begin + 1, int(np.searchsorted(upto, upto[begin] + BLOCK, side="right")) - 1)
            block = order[begin:end]
            found[block] = self._tails(one[block], other[block], num_shared[block])
            begin = end
        return found

    def _tails(self, one: Integers, other: Integers, num_shared: Integers) -> Doubles:
        sizes = self.starts[one + 1] - self.starts[one]
        mine, num_contexts = places_of(self.starts[one], sizes), len(self.probability)
        edge = np.repeat(np.arange(len(one)), sizes)
        context = self.keys[mine] % num_contexts
        wanted = other[edge] * num_contexts + context
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        is_shared = self.keys[place] == wanted
        edge, context = edge[is_shared], context[is_shared]
        ways = self.num_events[mine[is_shared]] * self.num_events[place[is_shared]]
        chance = np.minimum(self.probability[context] * ways, 1.0)
        mean = np.bincount(edge, chance, len(one))
        found: Doubles = np.asarray(pdtrc(num_shared - 1.0, mean))
        both = np.bincount(edge, minlength=len(one))
        first = np.cumsum(both) - both
        is_exact = num_shared <= EXACT_UP_TO
        # edges of about as many contexts and meetings are computed at once, and which ones changes no bit
        octave = np.frexp(both)[1] * 64 + np.frexp(num_shared)[1]
        for each in np.unique(octave[is_exact]).tolist():
            rows = np.flatnonzero(is_exact & (octave == each))
            width = 2 ** (each // 64)
            for step in np.split(rows, np.arange(1, len(rows) // max(1, CELLS // width) + 1) * max(1, CELLS // width)):
                flips = np.zeros((len(step), width))
                row = np.repeat(np.arange(len(step)), both[step])
                at = places_of(first[step], both[step])
                flips[row, at - first[step][row]] = chance[at]
                found[step] = upper_tails(flips, np.ones(width, np.int64), num_shared[step])
        return np.clip(found, 0, 1)
