#!/bin/sh
# Makes the user that the nodes log in as: it may read and write what begins
# with caddy-mfa/ in etcd, and nothing else. Run it once, as etcd's root, with
# etcdctl set up to reach the cluster. It asks for the user's password.
set -eu
export ETCDCTL_API=3
etcdctl role add caddy-mfa
etcdctl role grant-permission --prefix=true caddy-mfa readwrite caddy-mfa/
etcdctl user add caddy-mfa
etcdctl user grant-role caddy-mfa caddy-mfa
