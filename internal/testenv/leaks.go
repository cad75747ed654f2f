package testenv

import "go.uber.org/goleak"

// knownGoroutines are those that a library starts for the life of the process and gives no means to stop. Each needs
// its reason beside it; our own are never listed.
func knownGoroutines() []goleak.Option {
	return []goleak.Option{
		// Of go-redis, for a server that is gone: it looks each second whether its pool has been closed.
		goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"),
	}
}
