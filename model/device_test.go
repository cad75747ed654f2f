package model

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

func device(t *testing.T, s *Store, key DeviceKey) Device {
	t.Helper()
	d, err := s.DeviceByKey(t.Context(), key)
	ok(t, err)
	return d
}

// devicesForward: positions rise whatever order the writes come in, and only the first
// write says where receipts begin.
func devicesForward(t *testing.T, s *Store) {
	ctx := within(t)
	key := DeviceKey{newUser(), "laptop"}
	_, err := s.DeviceByKey(ctx, key)
	wantCode(t, err, CodeNotFound)

	first := NewDevice(key.UserID, key.DeviceID, 150, now)
	want(t, "a new device", first, Device{key.UserID, key.DeviceID, 50, 50, now, now, 0})
	want(t, "a new device of a short mailbox", NewDevice(1, "a", 99, now).Acked, 0)
	with := first
	with.Family = 9 // and what says nothing of a login leaves it
	ok(t, s.PutDevices(ctx, []Device{with}))
	for _, c := range []struct{ acked, want int64 }{{60, 60}, {55, 60}, {0, 60}, {61, 61}} {
		d := first
		d.Acked, d.ReceiptsFrom, d.CreatedAt, d.LastSeenAt = c.acked, 7, now+5, now-5
		ok(t, s.PutDevices(ctx, []Device{d}))
		want(t, "device", device(t, s, key), Device{key.UserID, key.DeviceID, c.want, 50, now, now, 9})
	}

	group, ctx := errgroup.WithContext(ctx)
	for i := range 8 {
		group.Go(func() error {
			for n := range int64(10) {
				d := first
				d.Acked = 100 + (n*7+int64(i)*3)%50
				if err := s.PutDevices(ctx, []Device{d}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	ok(t, group.Wait())
	want(t, "the highest of racing acks", device(t, s, key).Acked, 149)

	other := DeviceKey{key.UserID, "Laptop"} // another name: case counts
	ok(t, s.PutDevices(t.Context(), []Device{{UserID: other.UserID, DeviceID: other.DeviceID, Acked: 3, LastSeenAt: now - 1, CreatedAt: now}}))
	want(t, "the first device", device(t, s, key).Acked, 149)
	ok(t, s.TouchDevices(t.Context(), []DeviceKey{other, {newUser(), "gone"}}, now+9))
	want(t, "touched", device(t, s, other).LastSeenAt, now+9)
	want(t, "not touched", device(t, s, key).LastSeenAt, now)
	list, err := s.DevicesOf(t.Context(), key.UserID)
	ok(t, err)
	if len(list) != 2 || list[0].DeviceID != other.DeviceID {
		t.Errorf("devices %+v, want both, the latest seen first", list)
	}
}

// forgottenDevice: nothing of it stays, and of others nothing goes.
func forgottenDevice(t *testing.T, s *Store) {
	ctx := within(t)
	user := newUser()
	for _, id := range []DeviceID{"kept", "gone"} {
		key := DeviceKey{user, id}
		ok(t, s.PutDevices(ctx, []Device{{UserID: user, DeviceID: id, Acked: 1, Family: 7}}))
		acks(t, s, AckChanges{Selective: []SelectiveAcks{{Key: key, Seqs: []int64{3}}}, Logs: []DeviceLogPosition{{key, LogPosition{5, 2}}}})
	}
	was, err := s.DeleteDevice(ctx, DeviceKey{user, "gone"})
	ok(t, err)
	want(t, "its login", was.Family, 7)
	_, err = s.DeleteDevice(ctx, DeviceKey{user, "gone"})
	wantCode(t, err, CodeNotFound)
	for _, table := range []string{"devices", "selective_acks", "log_positions"} {
		want(t, "rows of "+table, number(t, s, "SELECT COUNT(*) FROM "+table+" WHERE user_id = ?", user), 1)
	}
	device(t, s, DeviceKey{user, "kept"})
}

// roomForDevices: the longest unseen make room, and only as many as must.
func roomForDevices(t *testing.T, s *Store) {
	ctx := within(t)
	user, other := newUser(), newUser()
	ok(t, s.PutDevices(ctx, []Device{{UserID: other, DeviceID: "oldest", LastSeenAt: 1}}))
	for i, id := range []DeviceID{"d", "a", "c", "b"} { // seen in this order
		ok(t, s.PutDevices(ctx, []Device{{UserID: user, DeviceID: id, LastSeenAt: now + Millis(i)}}))
	}
	for _, c := range []struct {
		limit int
		want  string
	}{{5, "b c a d"}, {4, "b c a"}, {4, "b c a"}, {2, "b"}} {
		ok(t, s.MakeRoomForDevice(ctx, user, c.limit))
		list, err := s.DevicesOf(ctx, user)
		ok(t, err)
		var got []string
		for _, d := range list {
			got = append(got, string(d.DeviceID))
		}
		want(t, "devices, latest seen first", strings.Join(got, " "), c.want)
	}
	device(t, s, DeviceKey{other, "oldest"})
}

// acks is WriteAcks of what delivers nothing.
func acks(t *testing.T, s *Store, c AckChanges) {
	t.Helper()
	delivered, err := s.WriteAcks(t.Context(), &c)
	ok(t, err)
	want(t, "delivered", len(delivered), 0)
}

func selectiveAcks(t *testing.T, s *Store) {
	ctx := within(t)
	user := newUser()
	a, b := DeviceKey{user, "a"}, DeviceKey{user, "b"}
	acks(t, s, AckChanges{Selective: []SelectiveAcks{{Key: a, Seqs: []int64{9, 4, 7}}, {Key: b, Seqs: []int64{5}}}})
	acks(t, s, AckChanges{Selective: []SelectiveAcks{{Key: a, Seqs: []int64{4, 11}}, {Key: b}}}) // again
	found, err := s.SelectiveAcks(ctx, []DeviceKey{a, b, {user, "c"}})
	ok(t, err)
	if !slices.Equal(found[a], []int64{4, 7, 9, 11}) || !slices.Equal(found[b], []int64{5}) || len(found) != 2 {
		t.Errorf("selective acks %v", found)
	}
	acks(t, s, AckChanges{Selective: []SelectiveAcks{{Key: a, UpTo: 9}}})
	found, err = s.SelectiveAcks(ctx, []DeviceKey{a, b})
	ok(t, err)
	if !slices.Equal(found[a], []int64{11}) || !slices.Equal(found[b], []int64{5}) {
		t.Errorf("selective acks after the position moved to 9: %v", found)
	}
}

func logPositions(t *testing.T, s *Store) {
	key := DeviceKey{newUser(), "a"}
	acks(t, s, AckChanges{})
	acks(t, s, AckChanges{Logs: []DeviceLogPosition{{key, LogPosition{1, 5}}, {key, LogPosition{2, 6}}}})
	acks(t, s, AckChanges{Logs: []DeviceLogPosition{{key, LogPosition{1, 3}}, {key, LogPosition{2, 8}}}})
	for id, acked := range map[ConversationID]int64{1: 5, 2: 8} {
		want(t, "log position", number(t, s, "SELECT acked_seq FROM log_positions WHERE user_id = ? AND conversation_id = ?", key.UserID, id), acked)
	}
}

func TestValidDeviceID(t *testing.T) {
	t.Parallel()
	for id, valid := range map[string]bool{
		"a": true, "A-Z.a_9": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "ä": false, "a/b": false, "a\x00": false, "a:b": false,
	} {
		if ValidDeviceID(id) != valid {
			t.Errorf("%q: valid is %t", id, !valid)
		}
	}
}
