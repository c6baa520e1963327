"""Names of the strategies that fuse scale groups, in a module without torch."""

STRATEGIES = ("arithmetic", "p_dist", "p_ens", "p_max", "p_power", "p_conf")  # in the order of `src/image_ops/fusion.h`
