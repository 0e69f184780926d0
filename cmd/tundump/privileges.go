package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"

	"kernel.org/pub/linux/libs/security/libcap/cap"

	"github.com/tundump/tundump/capture"
)

// privileges are the capabilities that are left when the sockets are open. All threads
// of the process have the same.
type privileges struct {
	all    []cap.Value // in effect
	create []cap.Value // in effect only while a file is created
}

// becomeOther becomes the user of -Z, if there is one, before the first file is created: it is to be
// his, as in tcpdump. Nothing else but what is needed for that remains.
func (s *session) becomeOther(live bool) error {
	if s.opt.User == "" {
		return nil
	}
	if err := s.becomeUser(); err != nil {
		return err
	}
	return s.dropPrivileges(live, true)
}

// dropPrivileges gives up all that is not needed any more, when the sockets or the files to
// be read are open, and the first file was created, or is yet to be created. These remain:
//
//   - to capture from interfaces that appear later, CAP_NET_RAW, and with -j of an adapter CAP_NET_ADMIN
//   - to load filters for them, or with sets that are read again, CAP_BPF and CAP_PERFMON, and for
//     tcx CAP_NET_ADMIN
//   - to read further files of -V, CAP_DAC_READ_SEARCH
//   - to create files, CAP_DAC_OVERRIDE, as in tcpdump, but only while one is being created; so
//     that files of a rotation can be where the first one was
func (s *session) dropPrivileges(live, first bool) error {
	later := live && s.opt.several()
	var keep []cap.Value
	if later {
		keep = append(keep, cap.NET_RAW)
		if s.opt.TimeStamps != "" && s.opt.TimeStamps != capture.TimeStampHost {
			keep = append(keep, cap.NET_ADMIN)
		}
	}
	if live && (later || s.filters.sets.Used()) {
		keep = append(keep, loadsBPF()...)
		if s.opt.Engine == engineTCX {
			keep = append(keep, cap.NET_ADMIN)
		}
	}
	if s.opt.ReadList != "" {
		keep = append(keep, cap.DAC_READ_SEARCH)
	}
	var create []cap.Value
	if s.opt.rotates() || first && s.opt.Write != "" {
		create = append(create, cap.DAC_OVERRIDE)
	}
	had := cap.GetProc()
	owned := func(c cap.Value) bool {
		has, err := had.GetFlag(cap.Permitted, c)
		return err == nil && has
	}
	keep = slices.DeleteFunc(keep, func(c cap.Value) bool { return !owned(c) })
	create = slices.DeleteFunc(create, func(c cap.Value) bool { return !owned(c) })
	s.privileges = &privileges{keep, create}
	if err := s.privileges.set(false); err != nil {
		return fmt.Errorf("dropping privileges: %w", err)
	}
	return nil
}

// loadsBPF returns the capabilities to load eBPF with: before Linux 5.8 there was none of its
// own. Without CAP_PERFMON the verifier also follows what a processor might do by
// speculation (bpf_bypass_spec_v1 in linux/bpf.h), which for a walk through tunnels can be more
// than the million instructions that it looks at.
func loadsBPF() []cap.Value {
	if cap.MaxBits() > cap.BPF {
		return []cap.Value{cap.BPF, cap.PERFMON}
	}
	return []cap.Value{cap.SYS_ADMIN}
}

// set makes the capabilities what they are while a file is created, and otherwise.
func (p *privileges) set(creating bool) error {
	set := cap.NewSet()
	effective := p.all
	if creating {
		effective = append(slices.Clone(p.all), p.create...)
	}
	if err := set.SetFlag(cap.Permitted, true, append(slices.Clone(p.all), p.create...)...); err != nil {
		return err
	}
	if err := set.SetFlag(cap.Effective, true, effective...); err != nil {
		return err
	}
	return set.SetProc()
}

// createFile creates a file. A pipe waits for its reader, until the user wants no more.
func (s *session) createFile(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return s.privileges.createFile(path)
	}
	f, err := awaited(s.ctx, func() (*os.File, error) { return s.privileges.createFile(path) })
	if errors.Is(err, errInterrupted) {
		return nil, fmt.Errorf("%s: %w before anybody read it", path, err)
	}
	return f, err
}

// create is os.Create, but for reading: who had both ends of a pipe would not notice that its reader is gone, or was
// never there.
func create(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
}

// createFile creates a file, with what rights to do so are left.
func (p *privileges) createFile(path string) (*os.File, error) {
	if p == nil || len(p.create) == 0 {
		return create(path)
	}
	if err := p.set(true); err != nil {
		return nil, fmt.Errorf("taking the right to create files: %w", err)
	}
	f, err := create(path)
	if dropErr := p.set(false); dropErr != nil {
		if err == nil {
			f.Close()
		}
		return nil, fmt.Errorf("dropping the right to create files: %w", dropErr)
	}
	return f, err
}

// becomeUser changes to the user of -Z and his groups, and keeps the capabilities.
func (s *session) becomeUser() error {
	u, err := user.Lookup(s.opt.User)
	if err != nil {
		return fmt.Errorf("option -Z: %w", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return fmt.Errorf("option -Z: the user's number: %w", err)
	}
	if uid == os.Getuid() && uid == os.Geteuid() {
		return nil
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return fmt.Errorf("option -Z: the group's number: %w", err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return fmt.Errorf("option -Z: %w", err)
	}
	var groups []int
	for _, id := range ids {
		n, err := strconv.Atoi(id)
		if err != nil {
			return fmt.Errorf("option -Z: the group's number: %w", err)
		}
		groups = append(groups, n)
	}
	if err = cap.SetGroups(gid, groups...); err == nil {
		err = cap.SetUID(uid)
	}
	if err != nil {
		return fmt.Errorf("option -Z: changing to user %s: %w", s.opt.User, err)
	}
	if os.Geteuid() != uid || os.Getegid() != gid { // whatever the reason, nobody goes on as root
		return errors.New("option -Z: the user was not changed")
	}
	fmt.Fprintf(s.std.err, "tundump: dropped privileges to user %s\n", s.opt.User)
	return nil
}
