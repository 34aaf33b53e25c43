// Package postgres is the store of any number of nodes, in a PostgreSQL
// database.
//
// Documents are the rows of one table. An Update of one key is two
// statements, each a transaction of its own: one that reads the row, and one
// that writes it if it still has the version that was read. Where another
// node came first, and for an Update of several keys, the rows are locked,
// in the order of their keys, before the function sees them; a key without a
// document is locked by a row that is gone, or a document, when the lock is.
//
// What this asks of a server, beside the wire protocol, is that a statement
// takes effect whole or not at all, that a primary key is unique, that
// SELECT … FOR UPDATE and a row that was inserted keep others off until the
// end of the transaction, and READ COMMITTED at least. Serialization
// failures and deadlocks are tried again. No session has a state: every
// statement is unnamed, and settings are those of one transaction, so that a
// pooler may give each transaction another connection. Advisory locks and
// sequences are not used. LISTEN and NOTIFY are, where Config.Listen says
// so, for speed alone.
package postgres
