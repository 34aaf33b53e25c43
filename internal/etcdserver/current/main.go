// Command current is a current etcd, for tests beside the one of the
// distribution. It is a module of its own: nothing of it is in what the
// product is built from.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
