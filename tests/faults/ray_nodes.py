"""Three nodes of Ray on this machine, for `test_ray.py`; each line of stdin kills one of them.

Prints the address of the cluster, then a line for each node that was killed and replaced.
"""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    others = [cluster.add_node(num_cpus=1) for _ in range(2)]
    print(cluster.address, flush=True)
    for _ in sys.stdin:
        cluster.remove_node(others.pop(0), allow_graceful=False)
        others.append(cluster.add_node(num_cpus=1))
        print("killed", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
