package event

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"elicence/licence"
)

// MaxTarget is how long the address of a receiver may be.
const MaxTarget = 1024

// ErrInternal says that an address is on a network which only those inside reach, and which
// the operator has not named: to deliver there would let a stranger use this service to reach it.
var ErrInternal = errors.New("an address of an internal network that the operator has not allowed")

// internal are the networks that are not open to everybody: the special-purpose registries of
// IANA (RFC 6890), multicast and what is reserved. Of IPv6 only 2000::/3 is given out at all;
// what is listed of it is inside it.
var internal = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
)

var open6 = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// Networks are those that the operator allows beside the open ones. The zero value allows none.
type Networks []netip.Prefix

// ParseNetworks reads networks as 10.20.0.0/16 or fd00:1::/48, each written without host bits.
func ParseNetworks(texts []string) (all Networks, err error) {
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil || p != p.Masked() || p.Addr().Is4In6() {
			return nil, fmt.Errorf("network %q is not an address without host bits and the length of its prefix, as 10.20.0.0/16", text)
		}
		all = append(all, p)
	}
	return all, nil
}

// Check says why nothing is delivered to an address: ErrInternal; nil when it may be.
func (n Networks) Check(a netip.Addr) error {
	a = a.Unmap() // ::ffff:10.0.0.1 is 10.0.0.1
	for _, p := range n {
		if p.Contains(a) {
			return nil
		}
	}
	if !a.IsValid() || a.Zone() != "" || a.Is6() && !open6.Contains(a) {
		return fmt.Errorf("%s: %w", a, ErrInternal)
	}
	for _, p := range internal {
		if p.Contains(a) {
			return fmt.Errorf("%s: %w", a, ErrInternal)
		}
	}
	return nil
}

// CheckTarget says what is wrong with the address of a receiver that is to be registered, as a
// *licence.RequestError about the field url: it is https (http at an allowed loopback address
// alone), names a host and no user or fragment, and every address that the host has passes
// Check. The addresses are looked at again at each connection, since names change.
func (n Networks) CheckTarget(ctx context.Context, text string, resolve func(ctx context.Context, host string) ([]netip.Addr, error)) error {
	u, err := url.Parse(text)
	switch {
	case len(text) > MaxTarget:
		return licence.InvalidField("url", licence.CodeTooLong, fmt.Sprintf("is longer than %d bytes", MaxTarget))
	case err != nil || u.Hostname() == "" || u.Opaque != "" || strings.ContainsFunc(text, notVisible):
		return licence.InvalidField("url", licence.CodeBadFormat, "is no address as https://host/path")
	case u.User != nil || strings.Contains(text, "#"):
		return licence.InvalidField("url", licence.CodeNotAllowed, "has a user or a fragment")
	case u.Scheme != "https" && !(u.Scheme == "http" && n.loopback(u.Hostname())):
		return licence.InvalidField("url", licence.CodeNotAllowed, "is not https; http is for a loopback address that the operator has allowed (--event-network)")
	}
	all, err := addresses(ctx, u.Hostname(), resolve)
	if err != nil || len(all) == 0 {
		return licence.InvalidField("url", licence.CodeNotAllowed, "has a host that cannot be found")
	}
	for _, a := range all {
		if n.Check(a) != nil {
			return licence.InvalidField("url", licence.CodeNotAllowed, "leads to an internal network that the operator has not allowed")
		}
	}
	return nil
}

// notVisible reports whether a character cannot stand in an address.
func notVisible(c rune) bool { return c <= ' ' || c >= 0x7f || c == '\\' }

// loopback reports whether a host is a loopback address, written as one, that is allowed.
func (n Networks) loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback() && n.Check(a) == nil
}

func addresses(ctx context.Context, host string, resolve func(context.Context, string) ([]netip.Addr, error)) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	return resolve(ctx, host)
}
