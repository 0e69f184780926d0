# tundump(1) completion for bash
# Made from the table of options: go test ./cmd/tundump -run TestDocs -update-docs

_tundump() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} sub= words=
	COMPREPLY=()
	# In --read=FILE the = is a word.
	if [[ $cur == = ]]; then
		cur=
	elif [[ $prev == = ]] && ((COMP_CWORD > 1)); then
		prev=${COMP_WORDS[COMP_CWORD-2]}
	fi
	if ((COMP_CWORD > 1)); then
		case ${COMP_WORDS[1]} in
		expr|mtu|offset) sub=${COMP_WORDS[1]} ;;
		esac
	fi
	case $sub:$prev in
	:-i|:--interface) words="any $(command ls /sys/class/net 2>/dev/null)" ;;
	:--netns) words=$(command ls /run/netns 2>/dev/null) ;;
	:-s|:--snapshot-length) return ;;
	:-B|:--buffer-size) return ;;
	:-Q|:--direction) words="in out inout" ;;
	:-j|:--time-stamp-type) return ;;
	:-y|:--linktype) return ;;
	:--fanout) return ;;
	:--engine) words="packet tcx" ;;
	:-Z|:--relinquish-privileges) COMPREPLY=($(compgen -u -- "$cur")); return ;;
	:-r|:--read) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	:-V|:--read-list) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	:-w|:--write) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	:--format) words="pcap pcapng" ;;
	:-C|:--file-size) return ;;
	:-G|:--file-seconds) return ;;
	:-W|:--file-count) return ;;
	:-z|:--file-command) return ;;
	:-c|:--packets) return ;;
	:--skip) return ;;
	:--duration) return ;;
	:--time-stamp-precision) words="micro nano" ;;
	:--stats) return ;;
	:-F|:--expression-file) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	:--depth) return ;;
	:--vxlan-port) return ;;
	:--geneve-port) return ;;
	:--gtp-port) return ;;
	:--gpe-port) return ;;
	:--fou-port) return ;;
	:--l2tp-cookie) return ;;
	expr:--depth) return ;;
	expr:--tunnels) return ;;
	expr:--tags) return ;;
	expr:--extensions) return ;;
	expr:--stack) return ;;
	expr:-y|expr:--linktype) return ;;
	expr:--vxlan-port) return ;;
	expr:--geneve-port) return ;;
	expr:--gpe-port) return ;;
	expr:--gtp-port) return ;;
	expr:--fou-port) return ;;
	expr:--l2tp-cookie) return ;;
	mtu:--underlay) return ;;
	mtu:-i|mtu:--interface) words=$(command ls /sys/class/net 2>/dev/null) ;;
	mtu:--inner) return ;;
	mtu:--l2tp-cookie) return ;;
	offset:--host) return ;;
	offset:--net) return ;;
	offset:--mac) return ;;
	offset:--port) return ;;
	offset:--proto) return ;;
	offset:--vni) return ;;
	offset:--key) return ;;
	offset:--teid) return ;;
	offset:--session) return ;;
	offset:--spi) return ;;
	offset:--isid) return ;;
	offset:--call) return ;;
	offset:-r|offset:--read) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	offset:--vxlan-port) return ;;
	offset:--geneve-port) return ;;
	offset:--gpe-port) return ;;
	offset:--gtp-port) return ;;
	offset:--fou-port) return ;;
	offset:--l2tp-cookie) return ;;
	esac
	if [[ -z $words ]]; then
		case $sub:$cur in
		:-*) words='-i --interface --netns -D --list-interfaces -p --no-promiscuous-mode -s --snapshot-length -B --buffer-size -Q --direction --immediate-mode -j --time-stamp-type -J --list-time-stamp-types -y --linktype -L --list-data-link-types --fanout --engine -Z --relinquish-privileges -r --read -V --read-list -w --write --format --print -U --packet-buffered -C --file-size -G --file-seconds -W --file-count -z --file-command --decap --annotate -c --packets --skip --duration -e --link-level -v --verbose -q --quiet -t --time-format -x --hex -X --hex-ascii -A --ascii -# --number -S --absolute-tcp-sequence-numbers -b --asdot -K --dont-verify-checksums --lengths -u --undecoded-nfs --time-stamp-precision --micro --nano -n --numeric --resolve -N --no-domain -l --line-buffered --count --json --stats -F --expression-file -d --dump -O --no-optimize --follow-fragments --no-follow-fragments --depth --vxlan-port --geneve-port --gtp-port --gpe-port --fou-port --l2tp-cookie -h --help --version' ;;
		expr:-*) words='--depth --tunnels --tags --extensions --stack --help --outer-only -y --linktype --vxlan-port --geneve-port --gpe-port --gtp-port --fou-port --l2tp-cookie' ;;
		mtu:-*) words='--underlay -i --interface --inner --l2tp-cookie --json -h --help' ;;
		offset:-*) words='--host --net --mac --port --proto --exact --vni --key --teid --session --spi --isid --call -r --read --map --svg --json --vxlan-port --geneve-port --gpe-port --gtp-port --fou-port --l2tp-cookie -h --help' ;;
		:*|expr:*)
			words='inner outer any and or not host net port portrange src dst tcp udp sctp icmp icmp6 arp ip ip6 ether vlan tunnel ipip gre erspan pptp vxlan gpe geneve nsh gtp etherip mplsip l2tp teredo gue pbb pw'
			((COMP_CWORD > 1)) || words+=' expr mtu offset' ;;
		esac
	fi
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _tundump tundump
