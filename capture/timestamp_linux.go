package capture

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// TimeStampTypes lists whose clock an interface's packets may have the time of, by
// libpcap's names (pcap-tstamp(7)).
func TimeStampTypes(name string) ([]TimeStampType, error) {
	var info *unix.EthtoolTsInfo
	err := withInetSocket(func(fd int) (err error) {
		info, err = unix.IoctlGetEthtoolTsInfo(fd, name)
		return err
	})
	switch {
	case errors.Is(err, unix.ENODEV):
		return nil, fmt.Errorf("%s: no such interface: %w", name, err)
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL): // the driver knows nothing of it
		return []TimeStampType{TimeStampHost}, nil
	case err != nil:
		return nil, fmt.Errorf("%s: reading the time stamp types: %w", name, err)
	}
	return timeStampTypes(info), nil
}

// timeStampTypes lists what an adapter's driver offers, as libpcap's iface_ethtool_get_ts_info does.
func timeStampTypes(info *unix.EthtoolTsInfo) []TimeStampType {
	var types []TimeStampType
	if info.So_timestamping&unix.SOF_TIMESTAMPING_SOFTWARE != 0 {
		types = append(types, TimeStampHost)
	}
	if info.Rx_filters&(1<<unix.HWTSTAMP_FILTER_ALL) != 0 { // not only those of PTP
		if info.So_timestamping&unix.SOF_TIMESTAMPING_SYS_HARDWARE != 0 {
			types = append(types, TimeStampAdapter)
		}
		if info.So_timestamping&unix.SOF_TIMESTAMPING_RAW_HARDWARE != 0 {
			types = append(types, TimeStampAdapterUnsynced)
		}
	}
	return types
}

// setTimeStamps makes the adapter's clock that of the packets.
func (r *ring) setTimeStamps(name string, kind TimeStampType) error {
	if kind == "" || kind == TimeStampHost {
		return nil
	}
	types, err := TimeStampTypes(name)
	if err != nil {
		return err
	}
	if !slices.Contains(types, kind) {
		return fmt.Errorf("%w of the type %s, only %v", ErrTimeStampType, kind, types)
	}
	// It stays so when we end: others may use it as well.
	err = withInetSocket(func(fd int) error {
		return unix.IoctlSetHwTstamp(fd, name, &unix.HwTstampConfig{Tx_type: unix.HWTSTAMP_TX_OFF, Rx_filter: unix.HWTSTAMP_FILTER_ALL})
	})
	if err != nil {
		return fmt.Errorf("setting time stamps of the type %s: %w", kind, err)
	}
	source := unix.SOF_TIMESTAMPING_RAW_HARDWARE
	if kind == TimeStampAdapter {
		source = unix.SOF_TIMESTAMPING_SYS_HARDWARE
	}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_TIMESTAMP, source); err != nil {
		return fmt.Errorf("setting time stamps of the type %s: %w", kind, err)
	}
	return nil
}

// withInetSocket calls f with a socket for the ioctls of ethtool.
func withInetSocket(f func(fd int) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return f(fd)
}
