"""The frozen networks, one small file each. Models are loaded only where work remains."""
