"""The register of the grid: each semantic is one function that plays it, for every plane and family. What a plane cannot have, or is
proved elsewhere, says so with its reason: a cell with neither a test nor a reason fails the grid."""
PLANES = ('bpf', 'nftables', 'iptables', 'ipvs')
FAMILIES = (4, 6)
SEMANTICS = []

# A kernel may have no IPVS, as this machine's: the cells of that plane run in an emulated one, when asked for.
EMULATED = {'ipvs': 'on Debian\'s kernel in qemu, by ./dev test grid-ipvs-qemu; not yet seen to its end'}


class Semantic:
    def __init__(self, title, function, reasons):
        self.title, self.function, self.reasons = title, function, reasons

    def reason(self, plane, family):
        """Why there is no test in this cell, or None."""
        for key in (f'{plane}/{family}', plane):
            if key in self.reasons:
                return self.reasons[key]
        return None


def semantic(title, **reasons):
    """reasons: plane or plane_family = why. `netfilter` and `netfilter_6` stand for the three of that plane."""
    spelled = {}
    for key, why in reasons.items():
        plane, _, family = key.partition('_')
        for one in (PLANES[1:] if plane == 'netfilter' else (plane,)):
            spelled[f'{one}/{family}' if family else one] = why

    def register(function):
        SEMANTICS.append(Semantic(title, function, spelled))
        return function
    return register
