"""Metrics over strings, boxes and images. In reading order:

caption_words   Tokenises captions as the caption metrics count words
captioning      Caption metrics against references: BLEU, ROUGE-L, CIDEr-D
vqa             Soft VQA accuracy against several human answers
pope            POPE: accuracy, precision, recall and F1 of yes or no
chair           CHAIR: objects that captions name though the image lacks them
grounding       Intersection over union of boxes, hits of points
true_false      Accuracy and consistency of true or false, as in NLVR
reconstruction  Reconstruction by a tokenizer: PSNR, SSIM, Fréchet distance, codebook usage, surviving
                codes, speed
frechet         Features and covariance for a Fréchet distance of images
"""
