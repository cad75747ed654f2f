package service

import (
	"log/slog"
	"sync"
	"time"

	"ackbox/model"
)

// MaxLevelTime is the longest time for which a log level may be changed.
const MaxLevelTime = 24 * time.Hour

// LogLevel is the log level of this node, which operators may change for a time. Stop it.
type LogLevel struct {
	level *slog.LevelVar
	base  slog.Level // the configured one
	clock func() time.Time

	mu    sync.Mutex
	until model.Millis // 0: for good
	back  *time.Timer
	turns int // of Set: a timer of before does nothing
}

// NewLogLevel takes the level that a log uses.
func NewLogLevel(level *slog.LevelVar, clock func() time.Time) *LogLevel {
	return &LogLevel{level: level, base: level.Level(), clock: clock}
}

// LevelWish is a level and for how long; 0: until the node stops.
type LevelWish struct {
	Level slog.Level
	For   time.Duration
}

// LevelView is the level in force, and until when; 0: no end is set.
type LevelView struct {
	Level slog.Level
	Until model.Millis
}

// View is the level in force.
func (l *LogLevel) View() LevelView {
	l.mu.Lock()
	defer l.mu.Unlock()
	return LevelView{Level: l.level.Level(), Until: l.until}
}

// Set changes the level. CodeValidation: for longer than MaxLevelTime.
func (l *LogLevel) Set(w LevelWish) error {
	if w.For < 0 || w.For > MaxLevelTime {
		return model.Invalid("body.for_ms", "want 0 to a day", w.For.Milliseconds())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
	l.level.Set(w.Level)
	if w.For > 0 {
		turn := l.turns
		l.until = model.MillisOf(l.clock().Add(w.For))
		l.back = time.AfterFunc(w.For, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			if turn == l.turns {
				l.forget()
				l.level.Set(l.base)
			}
		})
	}
	return nil
}

// forget ends what was set before. The caller holds the lock.
func (l *LogLevel) forget() {
	l.turns++
	l.until = 0
	if l.back != nil {
		l.back.Stop()
		l.back = nil
	}
}

// Stop ends the timer.
func (l *LogLevel) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
}
