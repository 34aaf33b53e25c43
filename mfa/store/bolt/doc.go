// Package bolt keeps the store's documents in one local file, with no
// server to run. It is the engine of a single node: the file belongs to
// one process at a time, and to one Store in it.
//
// Every Update is on disk (fdatasync) before it returns. One that finds
// nobody writing commits at once, in its own goroutine; those that come
// meanwhile share the next commit, led by one of them. A lone update so
// waits for nobody, and many share the cost. Reads run beside it all and
// never wait for the disk to be written.
//
// The file may be copied only while no process has it open; of one in
// use, Snapshot makes a copy. Either may be put in the place of the file
// while no process has it open. Whoever truncates or overwrites it under
// a running process gets store.ErrCorrupt from every call until it is
// opened anew, and no more writes reach it.
package bolt
