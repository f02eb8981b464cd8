"""What moves in the browser: heatmap boards, maps, strips."""
