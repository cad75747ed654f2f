package model

import "context"

// AckState is what a batch of acks is decided by.
type AckState struct {
	Heads     map[UserID]MailboxHead // without those who have no mailbox yet
	Devices   map[DeviceKey]Device   // those that are known
	Selective map[DeviceKey][]int64  // acked out of order, ascending
	Places    map[Place]MessageID    // what is there
	LogHeads  map[MemberKey]int64    // of the memberships that are active
}

// ReadAckState reads what is known of users and devices (at most 500, sorted), of places in mailboxes (at most 500) and of
// memberships in log conversations. In a transaction the devices' rows are locked.
func (s *Store) ReadAckState(ctx context.Context, users []UserID, keys []DeviceKey, places []Place, logs []MemberKey) (*AckState, error) {
	a := &AckState{Heads: make(map[UserID]MailboxHead, len(users)), Devices: make(map[DeviceKey]Device, len(keys)), Selective: map[DeviceKey][]int64{}, Places: map[Place]MessageID{}, LogHeads: map[MemberKey]int64{}}
	var heads []MailboxHead
	steps := []*step{s.readDevices(keys, a.Devices), readMailboxHeads(users, &heads), s.readSelectiveAcks(keys, a.Selective)}
	if len(places) > 0 {
		steps = append(steps, s.readEntryIDs(places, a.Places))
	}
	if err := s.run(ctx, append(steps, s.readMemberHeads(logs, a.LogHeads)...)...); err != nil {
		return nil, err
	}
	for _, h := range heads {
		a.Heads[h.UserID] = h
	}
	return a, nil
}

// AckChanges are what a batch of acks does.
type AckChanges struct {
	Devices   []Device // sorted by key
	Selective []SelectiveAcks
	Logs      []DeviceLogPosition // sorted by user, device and conversation
	Ranges    []Range             // what was acked for the first time: at most 500, one a user
}

// SelectiveAcks are the entries that a device has newly acked out of order, and up to where its position has moved over them.
type SelectiveAcks struct {
	Key  DeviceKey
	Seqs []int64
	UpTo int64
}

// WriteAcks moves positions, which only go forward, and answers what was delivered with it.
func (s *Store) WriteAcks(ctx context.Context, c *AckChanges) (delivered []Delivered, err error) {
	var steps []*step
	for _, a := range c.Selective {
		steps = append(append(steps, s.addSelectiveAcks(a.Key, a.Seqs)...), dropSelectiveAcks(a.Key, a.UpTo))
	}
	steps = append(append(steps, s.putDevices(c.Devices)...), s.raiseLogPositions(c.Logs)...)
	if len(c.Ranges) > 0 {
		steps = append(steps, readDelivered(c.Ranges, &delivered))
	}
	err = s.run(ctx, steps...)
	return delivered, err
}
