package verify

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	maxMetrics  = 16 << 20 // bytes of one page
	calmTries   = 20       // looks at the nodes in the end, until they have given back what they took
	calmSpacing = 500 * time.Millisecond
)

// figures are the metrics that a sample is made of.
var figures = map[string]func(*Sample) *int64{
	"go_goroutines":                func(s *Sample) *int64 { return &s.Goroutines },
	"process_open_fds":             func(s *Sample) *int64 { return &s.Files },
	"go_sql_open_connections":      func(s *Sample) *int64 { return &s.Connections },
	"go_memstats_heap_inuse_bytes": func(s *Sample) *int64 { return &s.Heap },
}

// Usage reads what nodes use from their metrics pages, in Prometheus' text format.
type Usage struct {
	Pages   []string      // whole addresses
	Token   string        // a bearer token, or ""
	Timeout time.Duration // of one read
}

// Samples reads all pages.
func (u Usage) Samples(ctx context.Context) ([]Sample, error) {
	var all []Sample
	for _, page := range u.Pages {
		s, err := readSample(ctx, page, u.Token, u.Timeout)
		if err != nil {
			return nil, fmt.Errorf("the metrics of a node could not be read: %w", err)
		}
		all = append(all, s)
	}
	return all, nil
}

// Growth compares what the nodes use with what they used, giving them ten seconds to get there.
func (u Usage) Growth(ctx context.Context, begin []Sample) ([]Growth, error) {
	var list []Growth
	for n := 0; ; n++ {
		end, err := u.Samples(ctx)
		if err != nil {
			return nil, err
		}
		list = list[:0]
		for i, page := range u.Pages {
			list = append(list, Growth{page, begin[i], end[i]})
		}
		if n >= calmTries || Check(Run{Resources: list}).OK() {
			return list, nil
		}
		if err := wait(ctx, calmSpacing); err != nil {
			return nil, err
		}
	}
}

// readSample reads one metrics page.
func readSample(ctx context.Context, page, token string, timeout time.Duration) (s Sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return s, fmt.Errorf("%s: %w", page, err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return s, fmt.Errorf("%s: %w", page, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return s, fmt.Errorf("%s answers %d; give the whole address of the page, and --admin-token if it wants one", page, answer.StatusCode)
	}
	return parseSample(io.LimitReader(answer.Body, maxMetrics))
}

// parseSample reads the figures out of Prometheus' text format; one that isn't there is -1, one with labels is summed.
func parseSample(in io.Reader) (Sample, error) {
	s := Sample{-1, -1, -1, -1}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<16), 1<<20)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		name, _, _ = strings.Cut(name, "{")
		figure := figures[name]
		if !ok || figure == nil {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return s, fmt.Errorf("metrics: %s is %q", name, value)
		}
		*figure(&s) = max(*figure(&s), 0) + int64(v)
	}
	if err := lines.Err(); err != nil {
		return s, fmt.Errorf("metrics: %w", err)
	}
	return s, nil
}
