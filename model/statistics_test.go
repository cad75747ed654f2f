package model

import (
	"fmt"
	"slices"
	"testing"
)

// TestStatistics: everything that is kept is counted; above the bound what is cheaper is told, by name.
func TestStatistics(t *testing.T) {
	t.Parallel()
	for dialect, options := range stores {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			s := open(t, options(t))
			ok(t, s.Migrate(t.Context()))
			now := Millis(IDEpoch + 90*24*3600*1000)
			old, fresh := (int64(now)-IDEpoch-25*3600*1000)<<22, (int64(now)-IDEpoch-3600*1000)<<22
			for i := range int64(20) {
				id := UserID(fresh + i)
				if i < 5 {
					id = UserID(old + i)
				}
				role := RoleUser
				if i == 0 {
					role = RoleAdmin
				}
				ok(t, s.CreateUser(t.Context(), &User{ID: id, Username: fmt.Sprint("user", i), Role: role}))
				if i < 3 {
					ok(t, s.SetBanned(t.Context(), id, now))
				}
			}
			ok(t, s.OpenAnnouncements(t.Context(), now))
			pair, err := s.EnsureDirect(t.Context(), 1<<40, UserID(old), UserID(old+1), now)
			ok(t, err)
			ok(t, s.InsertGroup(t.Context(), &Conversation{ID: 1<<40 + 1, Delivery: DeliveryMailbox}))
			for i := range int64(12) {
				_, err := say(t.Context(), s, pair.ID, UserID(old), 1, UserID(old), UserID(old+1))
				ok(t, err)
				ok(t, s.PutDevices(t.Context(), []Device{NewDevice(UserID(old), DeviceID(fmt.Sprint("d", i)), 0, now)}))
				ok(t, s.write(t.Context()).Exec("INSERT INTO files (id, owner_id, size) VALUES (?, 7, 10)", 1+i).Error)
			}
			ok(t, s.SetBlock(t.Context(), pair.ID, UserID(old), UserID(old+1), true, now))

			want := Statistics{
				Users: 20, Banned: 3, Admins: 1, Direct: 1, Groups: 1, Logs: 1, Messages: 12, MailboxEntries: 24, Devices: 12, Files: 12, FileBytes: 120, Blocks: 1, Registrations: 15,
			}
			got, err := s.Statistics(t.Context(), now)
			ok(t, err)
			if got.Version == "" || got.Bytes <= 0 {
				t.Errorf("the database says nothing of itself: %+v", got)
			}
			want.Version, want.Bytes = got.Version, got.Bytes
			if a, b := fmt.Sprintf("%+v", *got), fmt.Sprintf("%+v", want); a != b {
				t.Errorf("got %s, want %s", a, b)
			}

			got, err = census{s, 4, 3}.statistics(t.Context(), now) // 4 rows a table, 3 accounts
			ok(t, err)
			if slices.Sort(got.Estimated); len(slices.Compact(slices.Clone(got.Estimated))) != len(got.Estimated) {
				t.Errorf("named twice: %v", got.Estimated)
			}
			estimates := []string{"messages", "mailbox_entries", "file_bytes", "registrations_24h", "users_banned", "admins"}
			for _, name := range estimates {
				if !slices.Contains(got.Estimated, name) {
					t.Errorf("%s is no estimate: %v", name, got.Estimated)
				}
			}
			if slices.Contains(got.Estimated, "blocks") || got.Blocks != 1 {
				t.Errorf("what is few is counted: %+v", got)
			}
			// Four registrations within an hour are 96 a day.
			if got.FileBytes != 10*got.Files || got.Registrations < 90 || got.Registrations > 100 || got.Banned != 2 || got.Admins != 1 { // the first three: the system, an admin and one more
				t.Errorf("estimates: %+v", got)
			}
			if dialect == SQLite && (got.Messages != 12 || got.MailboxEntries != 24 || got.Users != 20) {
				t.Errorf("SQLite counts: %+v", got)
			}
		})
	}
}
