package bench

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
)

const (
	progressEvery = 500 * time.Millisecond // on a terminal, where the line renews itself
	logEvery      = 10 * time.Second       // elsewhere, where lines follow one another
)

// progress shows how far a run is until the returned function is called.
func (o Options) progress(line func() string) (stop func()) {
	if o.Live == nil {
		return func() {}
	}
	every, begin, end, last := logEvery, "", "\n", ""
	if f, ok := o.Live.(*os.File); ok && terminal(f) != nil {
		every, begin, end, last = progressEvery, "\r\x1b[K", "", "\r\x1b[K"
	}
	done := make(chan struct{})
	var painter sync.WaitGroup
	painter.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				show(o.Live, last)
				return
			case <-ticker.C:
				show(o.Live, begin+line()+end)
			}
		}
	})
	return func() {
		close(done)
		painter.Wait()
	}
}

// Progress shows on w how far something is, until the returned function is called: a line that renews itself when w is a
// terminal, else one from time to time.
func Progress(w io.Writer, line func() string) (stop func()) { return Options{Live: w}.progress(line) }

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
