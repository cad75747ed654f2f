package rig

import (
	"strings"
	"testing"

	"ackbox/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// The databases of a measurement are its own, their sizes are put back, and nothing stays.
func TestStoresLeaveNothing(t *testing.T) {
	dsn := testenv.MySQL(t)
	t.Setenv("ACKBOX_TEST_MYSQL_DSN", dsn)
	t.Setenv("ACKBOX_TEST_REDIS_URL", testenv.Redis(t))
	s, err := OpenStores(t.Context(), t.TempDir(), func(text string) { t.Log(text) })
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Settings) != 2 || strings.Contains(s.Settings[0], dsn[strings.LastIndexByte(dsn, '/'):]) {
		t.Errorf("got settings %q, want a fresh database and the Redis", s.Settings)
	}
	for _, name := range []string{"mariadb", "redis"} {
		if s.Processes[name] == 0 {
			t.Errorf("the process of %s was not found", name)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
