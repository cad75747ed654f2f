package testenv

import "go.uber.org/goleak"

// knownGoroutines are those that a library starts for the life of the process and gives no means to stop. Each needs
// its reason beside it; our own are never listed.
func knownGoroutines() []goleak.Option {
	return []goleak.Option{}
}
