package bench

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
)

const progressEvery = 500 * time.Millisecond

// progress shows a line that renews itself until the returned function is called, on a terminal only.
func (o Options) progress(line func() string) (stop func()) {
	if o.live == nil {
		return func() {}
	}
	done := make(chan struct{})
	var painter sync.WaitGroup
	painter.Go(func() {
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				show(o.live, "\r\x1b[K")
				return
			case <-ticker.C:
				show(o.live, "\r\x1b[K"+line())
			}
		}
	})
	return func() {
		close(done)
		painter.Wait()
	}
}

// show writes to the terminal; what it can't show is no loss, the report comes at the end.
func show(w io.Writer, text string) {
	io.WriteString(w, text) //nolint:errcheck // see above
}

// terminal returns the file when a person looks at it.
func terminal(f *os.File) io.Writer {
	if isatty.IsTerminal(f.Fd()) {
		return f
	}
	return nil
}

// line is a run's progress.
func (r *run) line(name string) string {
	now := since()
	phase := "warming up"
	if now >= r.start {
		phase = fmt.Sprintf("%.0f s left", max(r.end-now, 0).Seconds())
	}
	return fmt.Sprintf("%s: %s, %d accepted, %d shown, %d failed", name, phase, r.accepted.Load(), r.pushed.Load(), r.failed.Load())
}
