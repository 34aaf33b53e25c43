package store

// Fillable is implemented by engines that can run out of room.
type Fillable interface {
	// Full reports whether the engine is known to take no writes for want of
	// room. It asks nobody and may be called after Close.
	Full() bool
}
