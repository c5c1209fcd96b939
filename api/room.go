package api

import (
	"errors"
	"io"
	"slices"
	"sync"

	"elicence/licence/registry"
)

// room holds the bodies of verifications, from their first byte to the answer.
// Anonymous callers have one and callers with a token another, so that the former
// cannot crowd out the latter.
type room struct {
	// each is how many bodies one sender may be sending at once, bytes what all
	// bodies may have together. The buffers they are in can be twice as large.
	each, bytes int
	// places has one for each verification at work, which has read its body before.
	places chan struct{}
	// sealing has one for each report that is being sealed: a timestamp authority that hangs
	// holds up no verification.
	sealing chan struct{}

	mu      sync.Mutex     // guards what follows
	sending map[string]int // bodies on their way, by sender
	held    int            // bytes that have come
}

const (
	// openEach is for an address, reservedEach for a client.
	openEach, reservedEach = 4, 32
	// maxHeld is for either room: eight of the largest files.
	maxHeld = 8 * MaxFile
	// maxPlaces is for either room, and so is maxSealing.
	maxPlaces, maxSealing = 16, 16
)

func newRoom(each int) *room {
	return &room{each: each, bytes: maxHeld, places: make(chan struct{}, maxPlaces), sealing: make(chan struct{}, maxSealing), sending: map[string]int{}}
}

// room is where the caller's body goes, and what its sender is counted by.
func (x *exchange) room() (r *room, sender string) {
	if x.anonymous() {
		return x.open, x.remote()
	}
	return x.reserved, x.caller.Principal
}

// anonymous reports whether the caller came without a token.
func (x *exchange) anonymous() bool {
	return slices.Contains(x.caller.Roles, registry.RoleAnonymous)
}

// enter reports whether a sender may send one more body, until it leaves.
func (r *room) enter(sender string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sending[sender] >= r.each {
		return false
	}
	r.sending[sender]++
	return true
}

func (r *room) leave(sender string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sending[sender]--; r.sending[sender] == 0 {
		delete(r.sending, sender)
	}
}

// take reports whether there is room for n more bytes of a body. The last eighth
// is for bodies of one portion: a QR code gets in where files no longer do.
func (r *room) take(n, size int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	most := r.bytes
	if size+n > portion {
		most -= most / 8
	}
	if r.held+n > most {
		return false
	}
	r.held += n
	return true
}

// free gives the bytes of a body back.
func (r *room) free(size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held -= size
}

// lodger is a body in a room.
type lodger struct {
	io.ReadCloser
	room *room
	size int
}

// Read takes room for what has come, or ends with errBusy.
func (l *lodger) Read(b []byte) (int, error) {
	n, err := l.ReadCloser.Read(b)
	if !l.room.take(n, l.size) {
		return 0, errBusy
	}
	l.size += n
	return n, err
}

// receive reads a body into a room. What it refuses for want of room is logged with
// the others of its minute.
func receive[T any](x *exchange, r *room, sender string, read func() (T, error)) (in T, err error) {
	if !r.enter(sender) {
		return in, x.summed(x.verifications.refused, errCrowd)
	}
	defer r.leave(sender)
	in, err = read()
	if errors.Is(err, errBusy) {
		err = x.summed(x.crowded, errBusy)
	}
	return in, err
}
