//go:build race

package edgetest

const raceDetector = true
