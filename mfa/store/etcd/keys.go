package etcd

import "strings"

// layout is where things are in the cluster.
type layout struct {
	head string
	docs string // what the keys of documents begin with
}

func newLayout(prefix string) layout {
	return layout{head: prefix + "/head", docs: prefix + "/doc/"}
}

// doc returns the key in the cluster of a document.
func (l layout) doc(key string) string { return l.docs + key }

// key returns the document's key that is at a key in the cluster, if that
// is one of a document.
func (l layout) key(at []byte) (string, bool) {
	return strings.CutPrefix(string(at), l.docs)
}
