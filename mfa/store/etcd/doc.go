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
//	<prefix>/head        the name of the last write
//
// Every Update that writes also sets the head, to a name that no other write
// has. So the head's revision tells in one cheap read how far a watch must have
// come to have seen everything, also in a cluster that is busy with the keys
// of others; etcd counts the writes in the head's version; and the watch
// tells an Update whose answer got lost that it was made.
//
// # How Changed knows
//
// A Store keeps facts: that a document has a version, since a revision. They
// come from two sources. Answers to its own questions, which are linearizable
// reads, make a fact. Events of one watch on the prefix change it.
//
// Three things are told of each answer and each event: the document's
// version, the revision of the cluster, and the head at that revision. These
// rules hold the facts true:
//
//  1. A question is noted before its request is sent, and events for its keys
//     are noted with it. If an event of a later revision than the answer has
//     come by the time of the answer, the event is the fact. What was asked
//     before the watch began, or before everything was forgotten, is no fact.
//  2. All events of one answer of the watch are taken in at once, and only then
//     has the watch reached their revision. Progress notifications are not
//     relied on. The head's version rises by one with each write: an event that
//     was left out is noticed, and everything is forgotten.
//  3. The watch ends with its stream. The next one begins where it was, once its
//     stream is open and a read sent after that has shown the history to be the
//     same. Where etcd has compacted that revision away, everything is
//     forgotten.
//  4. Changed reads the head, which is a linearizable read, waits until the watch
//     has reached its revision, and compares what was seen with the facts. It
//     compares nothing, but asks the cluster for the versions, where the watch
//     is over 250 ms behind, and for the keys without a fact.
//
// # How a cluster that was put back is noticed
//
// A cluster that is restored from a snapshot under the same names has the same
// ID, and its revisions go on from those of the snapshot, so that one revision
// stands for two writes. The Store therefore keeps the newest write that
// the watch has told of and the newest that an answer has told of. Each Changed,
// and each stream of the watch, asks for the head of now and the heads at these
// two revisions, in one transaction: the cluster that was put back has other
// ones, or does not have the revisions. What an answer tells of the head is also
// held against what the watch tells of the same count of writes; a fact
// counts only then. If any of them differs, everything is forgotten, and the
// versions that were handed out count as changed: a version names the
// history in which it was read. If the revisions are compacted away, which takes
// a watch that is behind by all that etcd keeps, the same is done, as nobody
// can tell.
//
// One case is left to the next Changed: if the watch is behind, versions are
// compared by their revision alone, within histories that agree in the two
// heads.
package etcd
