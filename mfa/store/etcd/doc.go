// Package etcd keeps the store's documents in an etcd cluster, for any
// number of nodes. etcd 3.4 and later will do.
//
// Every document is a key of its own. An Update reads the keys that it
// names at one revision, or begins with the one that was read a moment ago,
// and writes in one transaction that etcd carries out only if none of them
// has been modified since; otherwise it goes again with what there is now.
// Updates of one process that share a key queue up here
// first, so that a node contends with other nodes, never with itself. A read
// and an Update that writes nothing stand on a linearizable read: they are
// refused, not answered from a member's memory, where there is no quorum.
//
// What is written under a prefix:
//
//	<prefix>/doc/<key>   a document
//	<prefix>/head        who wrote last
//
// Every Update that writes also sets the head. Its revision so tells in one
// cheap read how far a watch must have come to have seen everything, also
// in a cluster that is busy with the keys of others, and the watch tells an
// Update whose answer got lost that it was made.
package etcd
