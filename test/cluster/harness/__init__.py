"""A real Kubernetes on network namespaces; see README.md of this folder and docs/cluster.md."""
