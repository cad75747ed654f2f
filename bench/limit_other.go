//go:build !linux && !darwin

package bench

// raiseFileLimit has nothing to raise where there is no such limit.
func raiseFileLimit(int) error { return nil }
