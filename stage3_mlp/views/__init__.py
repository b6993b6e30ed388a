"""What a video's prediction looks like: the page to play it in, and the video with the prediction drawn in."""
