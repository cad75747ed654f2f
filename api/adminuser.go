package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
	"ackbox/service"
)

// AdminUser is an account as operators see it.
type AdminUser struct {
	ID          model.UserID `json:"id"`
	Username    string       `json:"username"`
	DisplayName string       `json:"display_name"`
	AvatarURL   string       `json:"avatar_url"`
	Role        model.Role   `json:"role" enum:"user,admin"`
	BannedAt    int64        `json:"banned_at" doc:"Unix ms; 0: not banned"`
	CreatedAt   int64        `json:"created_at" doc:"Unix ms"`
}

func adminUserOf(u *model.User) AdminUser {
	return AdminUser{ID: u.ID, Username: u.Username, DisplayName: u.DisplayName, AvatarURL: u.AvatarURL, Role: u.Role, BannedAt: int64(u.BannedAt), CreatedAt: int64(u.CreatedAt)}
}

// AdminNewUser asks for an account.
type AdminNewUser struct {
	Username    string     `json:"username" minLength:"3" maxLength:"32" pattern:"^[A-Za-z0-9._-]+$" patternDescription:"letters of ASCII, digits and . _ -" doc:"Folded to lower case"`
	Password    string     `json:"password" minLength:"10" maxLength:"128" format:"password" writeOnly:"true"`
	DisplayName string     `json:"display_name,omitempty" maxLength:"64" doc:"Empty: the username"`
	Role        model.Role `json:"role,omitempty" enum:"user,admin" default:"user"`
}

// AdminMailbox is where a mailbox begins and ends.
type AdminMailbox struct {
	Head  int64 `json:"head"`
	Floor int64 `json:"floor"`
}

// AdminDevice is a device as operators see it: its position, and its socket when it has one.
type AdminDevice struct {
	DeviceID     model.DeviceID `json:"device_id"`
	Name         string         `json:"name" doc:"What it calls itself; empty: nothing"`
	Acked        int64          `json:"acked"`
	Head         int64          `json:"head" doc:"Of the mailbox"`
	Lag          int64          `json:"lag" doc:"Entries that it has not acked"`
	LastSeenAt   int64          `json:"last_seen_at" doc:"Unix ms"`
	Connected    bool           `json:"connected"`
	Node         string         `json:"node" doc:"Empty: not connected"`
	ConnectionID string         `json:"connection_id"`
	State        string         `json:"state" doc:"opening, live or behind; empty: not connected"`
	Pending      int            `json:"pending" doc:"Pushes that wait for their ack"`
	Attempts     int            `json:"attempts" doc:"Of the oldest of them"`
	ConnectedAt  int64          `json:"connected_at" doc:"Unix ms; 0: not connected"`
}

type (
	adminUsersInput struct {
		Cursor string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before"`
		Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
		Q      string `query:"q" maxLength:"64" doc:"The beginning of a username, or an id"`
		Role   string `query:"role" enum:"user,admin"`
		Banned string `query:"banned" enum:"true,false"`
		Sort   string `query:"sort" enum:"username,-username,created_at,-created_at,id,-id" default:"username"`
	}
	adminUsersOutput struct {
		Body struct {
			Users      []AdminUser `json:"users"`
			NextCursor string      `json:"next_cursor"`
			HasMore    bool        `json:"has_more"`
		}
	}
	adminUserOutput struct {
		Body struct {
			User AdminUser `json:"user"`
		}
	}
	adminNewUserInput     struct{ Body AdminNewUser }
	adminUserDetailOutput struct {
		Body struct {
			User          AdminUser    `json:"user"`
			Mailbox       AdminMailbox `json:"mailbox"`
			Devices       int64        `json:"devices"`
			Conversations int64        `json:"conversations"`
			Files         int64        `json:"files"`
			FileBytes     int64        `json:"file_bytes"`
			Online        bool         `json:"online" doc:"One of the devices is connected"`
			MissingNodes  []string     `json:"missing_nodes" doc:"Nodes that did not say whether one is connected there"`
		}
	}
	banInput struct {
		UserID Param[model.UserID] `path:"user_id"`
		Body   *struct {
			Reason string `json:"reason,omitempty" maxLength:"200" doc:"For the audit log"`
		}
	}
	adminRoleInput struct {
		UserID Param[model.UserID] `path:"user_id"`
		Body   struct {
			Role model.Role `json:"role" enum:"user,admin"`
		}
	}
	adminPasswordInput struct {
		UserID Param[model.UserID] `path:"user_id"`
		Body   *struct {
			Password string `json:"password,omitempty" minLength:"10" maxLength:"128" format:"password" writeOnly:"true" doc:"Default: one is made"`
		}
	}
	adminPasswordOutput struct {
		Body struct {
			Password string `json:"password" doc:"The one that was made; empty when it was given"`
		}
	}
	adminDevicesOutput struct {
		Body struct {
			Devices      []AdminDevice `json:"devices" doc:"Latest seen first, at most 200"`
			MissingNodes []string      `json:"missing_nodes"`
		}
	}
	adminDevicePath struct {
		UserID   Param[model.UserID] `path:"user_id"`
		DeviceID string              `path:"device_id" pattern:"^[A-Za-z0-9._-]{1,64}$"`
	}
)

const adminUserPath = "/v1/admin/users/{user_id}"

func onUser(name string) action { return action{name, "user", "user_id"} }

func (a *API) registerAdminUsers(huma.API) {
	adminRoute(a, huma.Operation{
		OperationID: "admin-list-users", Method: http.MethodGet, Path: "/v1/admin/users", Summary: "Find accounts",
	}, read, a.adminUsers)
	adminRoute(a, huma.Operation{
		OperationID: "admin-create-user", Method: http.MethodPost, Path: "/v1/admin/users", Summary: "Make an account", DefaultStatus: http.StatusCreated,
	}, action{Name: "user.create", Target: "user"}, func(ctx context.Context, in *adminNewUserInput) (*adminUserOutput, error) {
		audit(ctx, "username", in.Body.Username)
		audit(ctx, "role", in.Body.Role)
		user, err := a.deps.Users.Create(ctx, service.Registration{Username: in.Body.Username, Password: in.Body.Password, DisplayName: in.Body.DisplayName}, in.Body.Role)
		if err != nil {
			return nil, err
		}
		auditTarget(ctx, user.ID.String())
		out := &adminUserOutput{}
		out.Body.User = adminUserOf(user)
		return out, nil
	})
	adminRoute(a, huma.Operation{
		OperationID: "admin-get-user", Method: http.MethodGet, Path: adminUserPath, Summary: "An account and how much it has",
	}, read, func(ctx context.Context, in *userPath) (*adminUserDetailOutput, error) {
		d, err := a.deps.Users.Detail(ctx, in.UserID.ID)
		if err != nil {
			return nil, err
		}
		sessions, missing, err := a.deps.Nodes.SessionsOf(ctx, in.UserID.ID)
		if err != nil {
			return nil, err
		}
		out := &adminUserDetailOutput{}
		b := &out.Body
		b.User, b.Mailbox = adminUserOf(d.User), AdminMailbox{Head: d.Head, Floor: d.Floor}
		b.Devices, b.Conversations, b.Files, b.FileBytes = d.Devices, d.Conversations, d.Files, d.FileBytes
		b.Online, b.MissingNodes = len(sessions) > 0, nodeTexts(missing)
		return out, nil
	})
	adminRoute(a, huma.Operation{
		OperationID: "ban-user", Method: http.MethodPut, Path: adminUserPath + "/ban",
		Summary: "Shut an account out", Description: "Its sessions end, its sockets close with 4003 on all nodes, it cannot log in. Not oneself, and not the last admin: 403.",
	}, onUser("user.ban"), func(ctx context.Context, in *banInput) (*none, error) {
		if in.Body != nil {
			audit(ctx, "reason", in.Body.Reason)
		}
		return nil, a.deps.Users.Ban(ctx, CallerFrom(ctx).UserID, in.UserID.ID)
	})
	adminRoute(a, huma.Operation{
		OperationID: "unban-user", Method: http.MethodDelete, Path: adminUserPath + "/ban", Summary: "Let an account log in again",
	}, onUser("user.unban"), func(ctx context.Context, in *userPath) (*none, error) {
		return nil, a.deps.Users.Unban(ctx, in.UserID.ID)
	})
	adminRoute(a, huma.Operation{
		OperationID: "admin-set-role", Method: http.MethodPut, Path: adminUserPath + "/role", Summary: "Change what an account may do",
		Description: "Who is no admin any more is signed out everywhere. Not the last admin: 403.",
	}, onUser("user.role"), func(ctx context.Context, in *adminRoleInput) (*none, error) {
		audit(ctx, "role", in.Body.Role)
		return nil, a.deps.Users.SetRole(ctx, in.UserID.ID, in.Body.Role)
	})
	adminRoute(a, huma.Operation{
		OperationID: "admin-set-password", Method: http.MethodPut, Path: adminUserPath + "/password", Summary: "Give an account a new password",
		Description: "It is signed out everywhere.",
	}, onUser("user.password"), func(ctx context.Context, in *adminPasswordInput) (*adminPasswordOutput, error) {
		given := ""
		if in.Body != nil {
			given = in.Body.Password
		}
		audit(ctx, "made", given == "")
		password, err := a.deps.Users.SetPassword(ctx, in.UserID.ID, given)
		if err != nil {
			return nil, err
		}
		out := &adminPasswordOutput{}
		if given == "" {
			out.Body.Password = password
		}
		return out, nil
	})
	adminRoute(a, huma.Operation{
		OperationID: "admin-sign-out", Method: http.MethodPost, Path: adminUserPath + "/sign-out", Summary: "End all logins of an account",
		Description: "Its sockets close with 4001 on all nodes.",
	}, onUser("user.sign_out"), func(ctx context.Context, in *userPath) (*none, error) {
		return nil, a.deps.Users.SignOut(ctx, in.UserID.ID)
	})
	a.registerAdminDevices()
}

func (a *API) registerAdminDevices() {
	onDevice := func(name string) action { return action{name, "user", "user_id"} }
	noted := func(handler func(ctx context.Context, key model.DeviceKey) error) handlerOf[adminDevicePath, none] {
		return func(ctx context.Context, in *adminDevicePath) (*none, error) {
			audit(ctx, "device_id", in.DeviceID)
			return nil, handler(ctx, model.DeviceKey{UserID: in.UserID.ID, DeviceID: model.DeviceID(in.DeviceID)})
		}
	}
	const devicePath = adminUserPath + "/devices/{device_id}"
	adminRoute(a, huma.Operation{
		OperationID: "admin-list-devices", Method: http.MethodGet, Path: adminUserPath + "/devices", Summary: "An account's devices, their positions and sockets",
	}, read, a.adminDevices)
	adminRoute(a, huma.Operation{
		OperationID: "admin-forget-device", Method: http.MethodDelete, Path: devicePath, Summary: "Forget a device",
		Description: "Its position goes, its socket closes with 4001, the login that was last seen on it ends.",
	}, onDevice("device.forget"), noted(func(ctx context.Context, key model.DeviceKey) error { return a.deps.Devices.Forget(ctx, key, 0) }))
	adminRoute(a, huma.Operation{
		OperationID: "admin-close-socket", Method: http.MethodPost, Path: devicePath + "/close", Summary: "Close a device's socket",
		Description: "With 1012, on whichever node it is: the client comes back. 404 when there is none.",
	}, onDevice("device.close"), noted(func(ctx context.Context, key model.DeviceKey) error { return a.deps.Nodes.CloseDevice(ctx, key) }))
	adminRoute(a, huma.Operation{
		OperationID: "admin-push-again", Method: http.MethodPost, Path: devicePath + "/push", Summary: "Push to a device what it has not acked, again",
		Description: "404 when it is not connected.",
	}, onDevice("device.push"), noted(func(ctx context.Context, key model.DeviceKey) error { return a.deps.Nodes.PushDevice(ctx, key) }))
}

func (a *API) adminUsers(ctx context.Context, in *adminUsersInput) (*adminUsersOutput, error) {
	f := model.UserFilter{Role: model.Role(in.Role)}
	if id, err := model.ParseID[model.UserID](in.Q); err == nil && len(in.Q) > 15 { // no username is looked for by that many digits
		f.ID = id
	} else {
		f.Prefix = strings.ToLower(in.Q)
	}
	if in.Banned != "" {
		banned := in.Banned == "true"
		f.Banned = &banned
	}
	name, descending := strings.CutPrefix(in.Sort, "-")
	by := model.UserSort(name)
	after, err := userPlace(in.Cursor, by)
	if err != nil {
		return nil, err
	}
	out := &adminUsersOutput{}
	b := &out.Body
	b.Users = []AdminUser{}
	if strings.Trim(f.Prefix, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
		return out, nil // no username has it
	}
	users, more, err := a.deps.Users.Page(ctx, f, by, descending, after, in.Limit)
	if err != nil {
		return nil, err
	}
	for i := range users {
		b.Users = append(b.Users, adminUserOf(&users[i]))
	}
	if b.HasMore = more; more {
		last := &users[len(users)-1]
		value := map[model.UserSort]any{model.UsersByUsername: last.Username, model.UsersByCreation: int64(last.CreatedAt), model.UsersByID: int64(last.ID)}[by]
		b.NextCursor = fmt.Sprint(value, ".", int64(last.ID))
	}
	return out, nil
}

// userPlace reads the cursor of a list of accounts: value.id
func userPlace(cursor string, by model.UserSort) (*model.UserPlace, error) {
	if cursor == "" {
		return nil, nil //nolint:nilnil // from the start
	}
	dot := strings.LastIndexByte(cursor, '.')
	id, err := model.ParseID[model.UserID](cursor[dot+1:])
	if dot < 0 || err != nil {
		return nil, badCursor(cursor)
	}
	place := &model.UserPlace{Value: cursor[:dot], ID: id}
	if by != model.UsersByUsername {
		if place.Value, err = strconv.ParseInt(cursor[:dot], 10, 64); err != nil {
			return nil, badCursor(cursor)
		}
	} else if !model.ValidUsername(cursor[:dot]) {
		return nil, badCursor(cursor)
	}
	return place, nil
}

func (a *API) adminDevices(ctx context.Context, in *userPath) (*adminDevicesOutput, error) {
	if _, err := a.deps.Users.Get(ctx, in.UserID.ID); err != nil {
		return nil, err
	}
	list, err := a.deps.Devices.List(ctx, in.UserID.ID)
	if err != nil {
		return nil, err
	}
	sessions, missing, err := a.deps.Nodes.SessionsOf(ctx, in.UserID.ID)
	if err != nil {
		return nil, err
	}
	out := &adminDevicesOutput{}
	out.Body.MissingNodes = nodeTexts(missing)
	out.Body.Devices = make([]AdminDevice, len(list))
	for i, d := range list {
		device := AdminDevice{DeviceID: d.DeviceID, Acked: d.Acked, Head: d.Head, Lag: d.Pending, LastSeenAt: int64(d.LastSeenAt)}
		for _, s := range sessions {
			if s.DeviceID == d.DeviceID {
				device.Connected, device.Node, device.ConnectionID, device.State = true, nodeText(s.Node), s.ConnectionID, s.State
				device.Pending, device.Attempts, device.ConnectedAt = s.Pending, s.Attempts, int64(s.ConnectedAt)
			}
		}
		out.Body.Devices[i] = device
	}
	return out, nil
}
