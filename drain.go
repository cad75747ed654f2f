package main

import (
	"sync"
	"sync/atomic"
	"time"

	"ackbox/api"
	"ackbox/config"
)

// drain says whether this node turns clients away: because an operator wants it, which they may take back, or because it stops.
type drain struct {
	on atomic.Bool

	mu       sync.Mutex // of turns
	stopping bool
}

// turn makes the node turn clients away, or take them again. A node that stops takes none.
func (s *server) turn(away bool) {
	s.drain.mu.Lock()
	defer s.drain.mu.Unlock()
	if s.drain.stopping {
		return
	}
	s.log.Info("an operator changes who comes here", "drain", away)
	s.drain.on.Store(away)
	s.api.SetDraining(away)
	if away {
		s.delivery.Drain(s.returnSpread())
	} else {
		s.delivery.Undrain()
	}
}

// leave is the first step of an orderly end.
func (s *server) leave() {
	s.drain.mu.Lock()
	defer s.drain.mu.Unlock()
	s.drain.stopping = true
	s.drain.on.Store(true)
	s.api.Drain()
}

// returnSpread is the time over which the clients of this node are asked to come back elsewhere.
func (s *server) returnSpread() time.Duration {
	return min(max(returnSpread, time.Duration(s.hub.Count())*time.Second/returnPace), maxReturnSpread)
}

// settingsOf are the settings as operators may see them.
func settingsOf(c *config.Config) []api.AdminSetting {
	var list []api.AdminSetting
	for _, s := range c.Settings() {
		list = append(list, api.AdminSetting(s))
	}
	return list
}
