package verify

import (
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
)

const (
	progressEvery = 500 * time.Millisecond // on a terminal, where the line renews itself
	logEvery      = 10 * time.Second       // elsewhere, where lines follow one another
	barWidth      = 24
)

// progress shows how far a run is until the returned function is called.
func progress(live io.Writer, line func() string) (stop func()) {
	if live == nil {
		return func() {}
	}
	every, begin, end, last := logEvery, "", "\n", ""
	if f, ok := live.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
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
				show(live, last)
				return
			case <-ticker.C:
				show(live, begin+line()+end)
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

// bar is a bar that is full at 1.
func bar(share float64) string {
	full := int(max(0, min(share, 1)) * barWidth)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}
