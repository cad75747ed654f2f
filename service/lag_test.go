package service

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// TestSessionFigures: how far the sockets of a node are behind, and for how long.
func TestSessionFigures(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	phone := i.connect(t, i.device("phone"), seq(0))
	laptop := i.connect(t, i.device("laptop"), seq(0))
	for _, e := range []*end{phone, laptop} {
		e.expect("hello 0 of 0", "synced 0")
	}
	i.say(2)
	i.clock.step(time.Second)
	i.say(3)
	for _, e := range []*end{phone, laptop} {
		e.expectMessages(1, 5)
	}
	phone.ack(4)
	laptop.ack(2) // its oldest is of a second later
	i.clock.step(4 * time.Second)

	registry := prometheus.NewRegistry()
	registry.MustRegister(newSessionFigures(i.delivery))
	families, err := registry.Gather()
	must(t, err)
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			got[name] = m.GetGauge().GetValue() + m.GetHistogram().GetSampleSum()
			for _, bucket := range m.GetHistogram().GetBucket() {
				if bucket.GetUpperBound() == 1 {
					got[name+" up to 1"] = float64(bucket.GetCumulativeCount())
				}
			}
		}
	}
	want := map[string]float64{
		"ackbox_sessions live": 2, "ackbox_sessions opening": 0, "ackbox_sessions behind": 0, "ackbox_session_lag_entries": 1 + 3, "ackbox_session_lag_entries up to 1": 1,
		"ackbox_session_lag_entries_max": 3, "ackbox_unacked_pushes": 4, "ackbox_unacked_oldest_seconds": 4, "ackbox_session_frames_waiting": 0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("want and got:\n" + diff)
	}
}
