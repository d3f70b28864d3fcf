"""Image quality: PSNR, SSIM, interpolation error, Chamfer distance of lines, LPIPS."""
