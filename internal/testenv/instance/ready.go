package instance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrNotReady says that a server ended, or the deadline passed, before it answered.
var ErrNotReady = errors.New("server is not ready")

// How long a server may take to answer after its start, crash recovery included, on a machine that is busy with other
// tests; measured when idle: MariaDB 1 to 3 s, Redis 20 ms.
const (
	startPatience = 90 * time.Second
	pollInterval  = 20 * time.Millisecond
	// logTail is how much of a server's log goes into an error, in bytes.
	logTail = 4096
)

// AwaitReady polls probe until it returns nil, the process ends, or ctx is done. The error carries the last probe's
// error and the end of the log file.
func AwaitReady(ctx context.Context, p *Process, logFile string, probe func(context.Context) error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-p.Done():
			return fmt.Errorf("%w: it ended (%w): %w%s", ErrNotReady, exitError(p), err, tail(logFile))
		case <-ctx.Done():
			return fmt.Errorf("%w: %w: %w%s", ErrNotReady, ctx.Err(), err, tail(logFile))
		}
	}
}

func exitError(p *Process) error {
	if err := p.Wait(); err != nil {
		return err
	}
	return errors.New("exit status 0")
}

func tail(logFile string) string {
	text, err := os.ReadFile(logFile)
	if err != nil {
		return fmt.Sprintf(" (log: %v)", err)
	}
	if len(text) > logTail {
		text = text[len(text)-logTail:]
	}
	return "\n--- " + logFile + "\n" + string(text)
}
