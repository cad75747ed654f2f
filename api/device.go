package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
)

// Device is one of the caller's devices and its position.
type Device struct {
	DeviceID   model.DeviceID `json:"device_id"`
	Acked      int64          `json:"acked" doc:"Its cumulative position in the mailbox"`
	Pending    int64          `json:"pending" doc:"Entries behind the position"`
	Online     bool           `json:"online" doc:"Connected, to any node (without presence: to the node that answers)"`
	Current    bool           `json:"current" doc:"Last seen with the login that asks"`
	LastSeenAt model.Millis   `json:"last_seen_at"`
	CreatedAt  model.Millis   `json:"created_at"`
}

type (
	devicesOutput struct {
		Body struct {
			Devices []Device `json:"devices" doc:"Latest seen first, at most 200"`
		}
	}
	devicePath struct {
		DeviceID string `path:"device_id" pattern:"^[A-Za-z0-9._-]{1,64}$"`
	}
)

func (a *API) registerDevices(h huma.API) {
	tags := []string{"devices"}
	route(h, huma.Operation{
		OperationID: "list-devices", Method: http.MethodGet, Path: "/v1/devices", Tags: tags, Summary: "My devices and their positions",
	}, func(ctx context.Context, _ *none) (*devicesOutput, error) {
		caller := CallerFrom(ctx)
		list, err := a.deps.Devices.List(ctx, caller.UserID)
		if err != nil {
			return nil, err
		}
		out := &devicesOutput{}
		out.Body.Devices = make([]Device, len(list))
		for i, d := range list {
			out.Body.Devices[i] = Device{DeviceID: d.DeviceID, Acked: d.Acked, Pending: d.Pending, Online: d.Online, Current: d.Family != 0 && d.Family == caller.FamilyID, LastSeenAt: d.LastSeenAt, CreatedAt: d.CreatedAt}
		}
		return out, nil
	})
	route(h, huma.Operation{
		OperationID: "forget-device", Method: http.MethodDelete, Path: "/v1/devices/{device_id}", Tags: tags, Summary: "Forget a device",
		Description: "Its position goes, its socket closes with 4001, and the login that was last seen on it ends: its access and refresh tokens work no more. The login that asks goes on.",
	}, func(ctx context.Context, in *devicePath) (*none, error) {
		return nil, a.deps.Devices.Forget(ctx, deviceKey(ctx, model.DeviceID(in.DeviceID)), CallerFrom(ctx).FamilyID)
	})
}
