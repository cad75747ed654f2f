package web_test

import (
	"testing"

	"ackbox/internal/testenv"
)

// The operators' page in Chromium, against the real binary that has it embedded.
func TestAdmin(t *testing.T) {
	npm(t, []string{"ACKBOX_TEST_BINARY=" + testenv.Binary(t), "ACKBOX_SHOTS=" + shots(t, "admin")}, "run", "--workspace", "admin", "test")
}

// What is embedded is what the sources make, and its first load is within the budget.
func TestAdminIsFresh(t *testing.T) {
	isFresh(t, "admin", "ACKBOX_ADMIN_DIST")
}
