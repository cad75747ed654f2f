package service

import (
	"log/slog"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// TestSeries: samples are kept for an hour and no longer, and are what has happened in their step.
func TestSeries(t *testing.T) {
	t.Parallel()
	clock := newHandClock()
	n := newNode(t, sqliteStore(t), standard, clock.now)
	s := NewSeries(n.writer, n.delivery, clock.now)
	must(t, s.Sample(t.Context()))
	equal(t, "samples of one reading", len(s.Last(SeriesTime)), 0)
	steps := int(SeriesTime/SeriesStep) + 7
	for range steps {
		clock.step(SeriesStep)
		must(t, s.Sample(t.Context()))
	}
	all := s.Last(2 * SeriesTime)
	equal(t, "samples kept", len(all), int(SeriesTime/SeriesStep))
	for i, sample := range all {
		if want := clock.now().Add(-SeriesStep * time.Duration(len(all)-1-i)).UnixMilli(); sample.At != want {
			t.Fatalf("sample %d is of %d, want %d", i, sample.At, want)
		}
	}
	equal(t, "samples of a minute", len(s.Last(time.Minute)), 31)
	before := valueOf(metrics.sends)
	metrics.sends.Add(1000) // other tests count as well
	clock.step(SeriesStep)
	must(t, s.Sample(t.Context()))
	last := s.Last(0)
	if after := valueOf(metrics.sends); len(last) != 1 || last[0].Sends < 500 || last[0].Sends > float64(after-before) {
		t.Errorf("%+v after a thousand sends in two seconds", last)
	}
	clock.step(-time.Minute)
	must(t, s.Sample(t.Context())) // a clock that is set back makes no sample and no panic
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "Of a test.", Buckets: []float64{1, 2, 4}})
	look := func() *dto.Histogram {
		var m dto.Metric
		must(t, h.Write(&m))
		return m.GetHistogram()
	}
	h.Observe(0.5)
	before := look()
	equal(t, "of nothing", quantile(0.5, before, look()), 0)
	for range 10 {
		h.Observe(1.5)
	}
	equal(t, "the middle of a bucket", quantile(0.5, before, look()), 1.5)
	equal(t, "its end", quantile(1, before, look()), 2)
	for range 10 {
		h.Observe(3)
	}
	equal(t, "where two meet", quantile(0.5, before, look()), 2)
	equal(t, "in the second", quantile(0.75, before, look()), 3)
	h.Observe(1000)
	equal(t, "beyond the last bound", quantile(1, before, look()), 4)
	for _, v := range [][2]float64{{0, 0}, {1234.56, 1235}, {0.000123456, 0.0001235}, {99999, 100000}} {
		if got := round(v[0]); math.Abs(got-v[1]) > v[1]*1e-9 {
			t.Errorf("round(%v) = %v", v[0], got)
		}
	}
}

// TestLogLevel: a level that is set for a time falls back, unless it is set again.
func TestLogLevel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		level := new(slog.LevelVar)
		level.Set(slog.LevelWarn)
		l := NewLogLevel(level, time.Now)
		set := func(to slog.Level, d time.Duration) {
			t.Helper()
			must(t, l.Set(LevelWish{Level: to, For: d}))
		}
		pass := func(d time.Duration) {
			<-time.After(d)
			synctest.Wait()
		}
		set(slog.LevelDebug, time.Minute)
		equal(t, "until", time.Until(l.View().Until.Time()), time.Minute)
		pass(59 * time.Second)
		equal(t, "level before the end", level.Level(), slog.LevelDebug)
		pass(time.Second)
		equal(t, "level after it", l.View(), LevelView{Level: slog.LevelWarn})
		set(slog.LevelDebug, time.Minute)
		pass(30 * time.Second)
		set(slog.LevelInfo, time.Minute)
		pass(45 * time.Second)
		equal(t, "level that was set again", level.Level(), slog.LevelInfo)
		set(slog.LevelError, 0)
		pass(time.Hour)
		equal(t, "level for good", level.Level(), slog.LevelError)
		if l.Set(LevelWish{For: MaxLevelTime + 1}) == nil {
			t.Error("a level for longer than a day was taken")
		}
		set(slog.LevelDebug, time.Minute)
		l.Stop()
		pass(time.Hour)
		equal(t, "level after Stop", level.Level(), slog.LevelDebug)
	})
}
